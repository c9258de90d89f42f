"""What is timed, by a name such as `dcgan-28-r1-k5-b256`; imports neither JAX nor PyTorch.

A name is a model and, joined by dashes in any order, what differs from the plain training step:

  28, 32, 64              side of the images in pixels
  wgan_gp, r1             a gradient penalty; wgan_gp goes with the loss wgan, all else with nonsat
  k5                      discriminator updates in a step
  b256                    real examples in an update
  bf16                    type of the activations
  m8                      runs of a sweep that are stepped in one call (ours alone)
  sampling                500 generated images as uint8, instead of a step
  evaluation              the Frechet distance of 2,000 generated images, by the features of MNIST
  metrics                 all that a run measures of itself with 2,000 images (ours alone)
  start                   from the start of a process to the end of its first step
"""

import re
from typing import NamedTuple

from gan.errors import UserError

LATENT_DIM = 64
PENALTY_WEIGHT = 10.0
LEARNING_RATE, B1, B2 = 2e-4, 0.5, 0.999  # Adam, as in DCGAN
SAMPLING_BATCH = 500  # images in a call of the generator
EVALUATED = 2000  # images in an evaluation, and as many in the reference
MODELS = ("mlp", "dcgan", "infogan")
PENALTIES = ("wgan_gp", "r1")
SIZES = (28, 32, 64)
TASKS = ("step", "sampling", "evaluation", "metrics", "start")
ALONE = ("metrics",)  # tasks without a peer
CPU, GPU = "cpu", "gpu"


class Case(NamedTuple):
  """A piece of work.

  Attributes:
    name: as it was typed.
    model: one of MODELS.
    size: side of the images in pixels.
    task: one of TASKS.
    penalty: one of PENALTIES, or "none".
    discriminator_steps: k.
    batch_size: real examples in an update.
    precision: "float32" or "bfloat16".
    runs_per_call: how many are stepped in one call; 0 for a run alone.
    plain: whether neither k nor the batch size was chosen.
  """

  name: str
  model: str
  size: int
  task: str
  penalty: str
  discriminator_steps: int
  batch_size: int
  precision: str
  runs_per_call: int
  plain: bool

  @property
  def family(self) -> tuple[str, ...]:
    """What cases share that differ in k and in the batch size alone."""
    return self.model, str(self.size), self.task, self.penalty, self.precision

  @property
  def image_shape(self) -> tuple[int, int, int]:
    """(H, W, C): grey images of 28 pixels, as MNIST has, and larger ones in colour."""
    return self.size, self.size, 1 if self.size == 28 else 3

  @property
  def loss(self) -> str:
    return "wgan" if self.penalty == "wgan_gp" else "nonsat"

  @property
  def alone(self) -> bool:
    """Whether nothing in PyTorch does the same."""
    return self.task in ALONE or self.runs_per_call > 0


def parse(name: str) -> Case:
  """Reads the name of a case.

  Raises:
    UserError: a part of it means nothing.
  """
  model, *parts = name.split("-")
  if model not in MODELS:
    raise UserError(f"--cases={name}: {model} is neither a group nor one of {', '.join(MODELS)}")
  numbers = {key: _number(key, parts) for key in ("", "k", "b", "m")}
  penalty, task = _word(PENALTIES, parts), _word(TASKS, parts)
  precision = _word(("bf16",), parts)
  if parts:
    raise UserError(
      f"--cases={name}: {parts[0]} means nothing; a name is MODEL-SIZE-PENALTY-kN-bN-TASK, as in "
      "dcgan-28-r1-k5-b256"
    )
  size = numbers[""] or 28
  _refuse(name, size, task or "step", numbers["m"])
  return Case(
    name=name,
    model=model,
    size=size,
    task=task or "step",
    penalty=penalty or "none",
    discriminator_steps=numbers["k"] or 1,
    batch_size=numbers["b"] or (64 if size == 64 else 128),
    precision="bfloat16" if precision else "float32",
    runs_per_call=numbers["m"] or 0,
    plain=not (numbers["k"] or numbers["b"]),
  )


def _refuse(name, size, task, runs_per_call):
  """Raises UserError for a combination that nobody has built."""
  if size not in SIZES:
    raise UserError(f"--cases={name}: images have a side of {', '.join(map(str, SIZES))} pixels")
  if task in ("evaluation", "metrics") and size != 28:
    raise UserError(f"--cases={name}: {task} needs the extractor of MNIST, so 28 pixels")
  if runs_per_call and task != "step":
    raise UserError(f"--cases={name}: runs are for steps, not for {task}")


def _number(key, parts):
  """Takes `key` followed by a number above 0 out of the parts, and returns the number or None."""
  for part in parts:
    if match := re.fullmatch(rf"{key}([1-9]\d*)", part):
      parts.remove(part)
      return int(match[1])
  return None


def _word(words, parts):
  """Takes one of the words out of the parts, and returns it or None."""
  for part in parts:
    if part in words:
      parts.remove(part)
      return part
  return None


def _with_penalties(*networks):
  return tuple(
    name for network in networks for name in (network, *(f"{network}-{p}" for p in PENALTIES))
  )


BATCHES = (64, 256, 512, 1024)
GROUPS: dict[str, tuple[str, ...]] = {
  "steps": _with_penalties("mlp", "dcgan-28", "infogan", "dcgan-64"),
  "sampling": tuple(f"{network}-sampling" for network in ("mlp", "dcgan-28", "infogan")),
  "evaluation": ("dcgan-28-evaluation", "dcgan-28-metrics"),
  "k": ("mlp-k5", "dcgan-28-k5"),
  "batch": tuple(f"{network}-b{batch}" for network in ("mlp", "dcgan-28") for batch in BATCHES),
  "pixels": ("dcgan-28-b64", "dcgan-32-b64", "dcgan-64"),
  "members": tuple(f"mlp-b64-m{count}" for count in (1, 2, 4, 8)),
  "start": tuple(f"{network}-start" for network in ("mlp", "dcgan-28", "infogan", "dcgan-64")),
}
ACCELERATED = ("dcgan-28", "dcgan-28-b1024", "dcgan-64-b256")
GROUPS["accelerator"] = tuple(f"{name}{end}" for name in ACCELERATED for end in ("", "-bf16"))


def default_groups(device: str) -> str:
  """Returns the groups that are run where none are chosen, by commas."""
  return (
    "steps,sampling,evaluation,k,batch,pixels,members,start" if device == CPU else "accelerator"
  )


def chosen(text: str) -> list[Case]:
  """Reads names of cases and of groups by commas; each case once.

  Raises:
    UserError: one is unknown.
  """
  names = [name for part in text.split(",") for name in GROUPS.get(part, (part,))]
  return [parse(name) for name in dict.fromkeys(names)]


def target(case: Case, device: str = CPU) -> float | None:
  """Returns the least ratio, PyTorch's time over ours, that is aimed at; None where there is none.

  On the CPU k and the batch size are those of the networks' own cases.
  """
  if case.alone or case.task not in ("step", "sampling"):
    return None
  if device == GPU:
    return 1.2
  if not case.plain or case.size not in (28, 64):
    return None
  if case.task == "sampling" or case.penalty != "none":
    return 1.2
  return 2.0 if case.model == "mlp" else 1.0 if case.size == 64 else 1.2


def share_target(case: Case) -> float | None:
  """Returns the least share of the matrix-product rate that is aimed at: in a step of `dcgan`."""
  aimed = case.model == "dcgan" and case.penalty == "none" and case.plain and not case.runs_per_call
  return 0.65 if aimed and case.task == "step" else None


START_TARGETS = {"cold": 25.0, "warm": 6.0}  # seconds to the end of the first step
