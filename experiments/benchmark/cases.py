"""What is timed, by a name such as `dcgan-28-r1-k5-b256`; imports neither JAX nor PyTorch.

A name is a model and, joined by dashes in any order, what differs from the plain training step:

  28, 32, 64              side of the images in pixels
  wgan_gp, r1             a gradient penalty; wgan_gp goes with the loss wgan, all else with nonsat
  w16                     channels of the widest layers, of a network of MODERN
  k5                      discriminator updates in a step
  b256                    real examples in an update
  bf16                    type of the activations
  m8                      runs of a sweep that are stepped in one call (ours alone)
  sampling                500 generated images as uint8, instead of a step
  evaluation              the Frechet distance of 2,000 generated images, by the features of MNIST
  metrics                 all that a run measures of itself with 2,000 images (ours alone)
  start                   from the start of a process to the end of its first step

The networks of MODERN are those of 2018 and later, at a width for two cores, on colour images of 32
pixels. Each has the loss and the penalty of its paper, the penalty in every step: `stylegan2-32` is
a step that its lazy R1 falls on.

The names of FULL are presets as `--preset` has them, for an accelerator: their sizes, batches,
updates of D, precision, lazy penalty and average; wN is then their `--width`.
"""

import re
from typing import NamedTuple

from gan.errors import UserError
from gan.training.presets import PRESETS

LATENT_DIM = 64
PENALTY_WEIGHT = 10.0
LEARNING_RATE, B1, B2 = 2e-4, 0.5, 0.999  # Adam, as in DCGAN
SAMPLING_BATCH = 500  # images in a call of the generator
EVALUATED = 2000  # images in an evaluation, and as many in the reference


class Game(NamedTuple):
  """What the players of a case play, and how large they are.

  Attributes:
    width: channels of the widest layers of both players; of a preset its `--width`.
    batch_size: real examples in an update.
    loss: the paper's.
    penalty: the paper's, or "none".
    classes: of labels that both players are given; 0 for none.
    penalty_weight: of the penalty.
    penalty_every: steps from one penalty to the next.
    discriminator_steps: k.
    generator_share: examples in an update of G over those in one of D.
    latent_dim: numbers in a latent.
    precision: "float32" or "bfloat16".
    averaged: whether there is an average of G.
    mirrored: whether half of the real images are mirrored.
    dequantized: whether noise of less than a level is added to them.
  """

  width: int
  batch_size: int
  loss: str
  penalty: str
  classes: int = 0
  penalty_weight: float = PENALTY_WEIGHT
  penalty_every: int = 1
  discriminator_steps: int = 1
  generator_share: int = 1
  latent_dim: int = LATENT_DIM
  precision: str = "float32"
  averaged: bool = True
  mirrored: bool = False
  dequantized: bool = False


def _published(preset: str, width: int) -> Game:
  """The game of a preset, which has `width` where none is given."""
  fields, batch = PRESETS[preset], PRESETS[preset]["batch_size"]
  named = ("penalty_weight", "penalty_every", "discriminator_steps", "latent_dim", "precision")
  return Game(
    width,
    batch,
    fields["loss"],
    fields.get("penalty", "none"),
    classes=10 if fields.get("conditional") else 0,
    generator_share=fields.get("generator_batch_size", batch) // batch,
    averaged=fields.get("ema_decay") != 0.0,
    mirrored=fields.get("mirror", False),
    dequantized=fields.get("dequantize", False),
    **{name: fields[name] for name in named if name in fields},
  )


MODERN = {
  "resnet": Game(32, 64, "hinge", "none"),
  "biggan": Game(64, 50, "hinge", "none", classes=10),
  "stylegan2": Game(64, 32, "nonsat", "r1"),
  "r3gan": Game(96, 64, "rsgan", "r1r2"),
}
FULL = {
  "sngan_cifar10": _published("sngan_cifar10", 128),
  "biggan_cifar10": _published("biggan_cifar10", 64),
  "stylegan2_cifar10": _published("stylegan2_cifar10", 1024),
  "r3gan_cifar10": _published("r3gan_cifar10", 768),
}
GAMES = MODERN | FULL
EMA_DECAY = 0.999  # of G's average, which both sides make of those
MODELS = ("mlp", "dcgan", "infogan", *GAMES)
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
    penalty: one of PENALTIES, that of a network of GAMES, or "none".
    discriminator_steps: k.
    batch_size: real examples in an update.
    precision: "float32" or "bfloat16".
    runs_per_call: how many are stepped in one call; 0 for a run alone.
    width: that of a network of GAMES, 0 for others.
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
  width: int
  plain: bool

  @property
  def family(self) -> tuple[str, ...]:
    """What cases share that differ in k and in the batch size alone."""
    return self.model, str(self.size), self.task, self.penalty, self.precision, str(self.width)

  @property
  def image_shape(self) -> tuple[int, int, int]:
    """(H, W, C): grey images of 28 pixels, as MNIST has, and larger ones in colour."""
    return self.size, self.size, 1 if self.size == 28 else 3

  @property
  def game(self) -> Game:
    """What is played: a network's own, or that of the losses above."""
    loss = "wgan" if self.penalty == "wgan_gp" else "nonsat"
    return GAMES.get(self.model) or Game(0, 0, loss, self.penalty, averaged=False)

  @property
  def generator_batch_size(self) -> int:
    """Examples in an update of G."""
    return self.batch_size * self.game.generator_share

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
  numbers = {key: _number(key, parts) for key in ("", "k", "b", "m", "w")}
  penalty, task = _word(PENALTIES, parts), _word(TASKS, parts)
  precision = _word(("bf16",), parts)
  if parts:
    raise UserError(
      f"--cases={name}: {parts[0]} means nothing; a name is MODEL-SIZE-PENALTY-kN-bN-TASK, as in "
      "dcgan-28-r1-k5-b256"
    )
  own = GAMES.get(model)
  size = numbers[""] or (32 if own else 28)
  _refuse(name, size, task or "step", numbers["m"])
  _refuse_of_width(name, own, size, task or "step", penalty, numbers["w"])
  batch_size = own.batch_size if own else 64 if size == 64 else 128
  return Case(
    name=name,
    model=model,
    size=size,
    task=task or "step",
    penalty=penalty or (own.penalty if own else "none"),
    discriminator_steps=numbers["k"] or (own.discriminator_steps if own else 1),
    batch_size=numbers["b"] or batch_size,
    precision="bfloat16" if precision else own.precision if own else "float32",
    runs_per_call=numbers["m"] or 0,
    width=numbers["w"] or (own.width if own else 0),
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


def _refuse_of_width(name, own, size, task, penalty, width):
  """Raises UserError where a network of GAMES is asked for more than steps, or another for wN."""
  if own and (size != 32 or penalty or task not in ("step", "start")):
    raise UserError(
      f"--cases={name}: {', '.join(GAMES)} have 32 pixels and a penalty of their own, for steps "
      "and start"
    )
  if width and not own:
    raise UserError(f"--cases={name}: w{width} is of {', '.join(GAMES)} alone")


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
  "modern": tuple(f"{network}-32" for network in MODERN),
  "sampling": tuple(f"{network}-sampling" for network in ("mlp", "dcgan-28", "infogan")),
  "evaluation": ("dcgan-28-evaluation", "dcgan-28-metrics"),
  "k": ("mlp-k5", "dcgan-28-k5"),
  "batch": tuple(f"{network}-b{batch}" for network in ("mlp", "dcgan-28") for batch in BATCHES),
  "pixels": ("dcgan-28-b64", "dcgan-32-b64", "dcgan-64"),
  "members": tuple(f"mlp-b64-m{count}" for count in (1, 2, 4, 8)),
  "start": tuple(f"{network}-start" for network in ("mlp", "dcgan-28", "infogan", "dcgan-64")),
}
ACCELERATED = ("dcgan-28", "dcgan-28-b1024", "dcgan-64-b256")
# The batch of r3gan_cifar10 is for several of them.
GROUPS["presets"] = (
  *("sngan_cifar10", "biggan_cifar10", "stylegan2_cifar10"),
  *("r3gan_cifar10-b64", "r3gan_cifar10-b256"),
)
GROUPS["accelerator"] = tuple(f"{name}{end}" for name in ACCELERATED for end in ("", "-bf16"))


def default_groups(device: str) -> str:
  """Returns the groups that are run where none are chosen, by commas."""
  on_cpu = ("steps", "modern", "sampling", "evaluation", "k", "batch", "pixels", "members", "start")
  return ",".join(on_cpu) if device == CPU else "accelerator,presets"


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
  if case.model in FULL:
    return None
  if case.model in MODERN:
    return 1.0 if case.plain and case.width == MODERN[case.model].width else None
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
