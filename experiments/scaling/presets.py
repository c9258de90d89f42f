"""Each preset at full size on accelerators, by shapes alone: its programs and its memory."""

import math
import pathlib
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import export
from jax.extend import core

from experiments.scaling.page import table
from gan.errors import UserError
from gan.method.game import PLAYERS, Batch
from gan.system.memory import tree_bytes
from gan.system.progress import say
from gan.training.build import DataInfo, build
from gan.training.config import Config
from gan.training.options import with_values
from gan.training.presets import PRESETS

ACCELERATORS = ("cuda", "tpu")
# Data by the end of a preset's name; MNIST for all others.
MNIST = DataInfo((28, 28, 1), 10, 60_000, None)
DATA = {
  "cifar10": DataInfo((32, 32, 3), 10, 50_000, None),
  "ffhq64": DataInfo((64, 64, 3), 0, 70_000, None),
  "imagenet32": DataInfo((32, 32, 3), 1000, 1_281_167, None),
  "stacked_mnist": DataInfo((32, 32, 3), 1000, 128_000, None),
  "pacgan2018": DataInfo((2,), 0, 100_000, None),
}
CALL = re.compile(r'custom_call @(\w+)|call_target_name = "([^"]+)"')
TRANSFER = re.compile(r"stablehlo\.(infeed|outfeed|send|recv)\b")
DONATED = re.compile(r"tf\.aliasing_output|jax\.buffer_donor")
DILATED = re.compile(r"lhs_dilate = \[(?!1, 1\])")
BEGIN, END = "<!-- presets on accelerators: begin -->", "<!-- presets on accelerators: end -->"
TEXT = """Written by `{command}`. The step of each preset and its parts are lowered for CUDA
and TPU; nothing is run. The state is both players, the average and what the optimisers keep
(exact, from shapes). The values of a step are an upper bound: the most bytes alive at once where
the program is run operation by operation in the order in which it is written; a compiler fuses and
reorders, and needs less. Data and the compiler's own buffers are not in it. Convolutions with a
dilated left side are slow on the CPU, where networks have other forms: those that are left are
transposed convolutions of the DCGANs.
"""


class Part(NamedTuple):
  """A function that is lowered.

  Attributes:
    function: of `arguments`.
    arguments: shapes.
  """

  function: Callable[..., Any]
  arguments: tuple[Any, ...]


def config_of(name: str) -> Config:
  """Returns the config of a preset."""
  return with_values(Config(), PRESETS[name])


def data_of(name: str) -> DataInfo:
  """Returns the sizes of a preset's data, the mean of its pixels grey."""
  info = next((info for end, info in DATA.items() if name.endswith(end)), MNIST)
  shape, side = info.image_shape, PRESETS[name].get("image_size")
  if len(shape) == 1:
    return info
  shape = (side or shape[0], side or shape[1], shape[2])
  return info._replace(image_shape=shape, pixel_mean=np.full(shape, 0.5))


def parts(config: Config, info: DataInfo) -> dict[str, Part]:
  """Returns the step, a batch of samples and D's judgement of it, on shapes alone."""
  algorithm, key = build(config, info), jax.eval_shape(lambda: jax.random.key(0))
  state = jax.eval_shape(algorithm.init, key)
  shape, kind = (config.discriminator_steps, config.batch_size), jnp.uint8
  if len(info.image_shape) == 1:
    kind = jnp.float32
  labels = jax.ShapeDtypeStruct(shape, jnp.int32) if config.conditional else None
  batch = Batch(jax.ShapeDtypeStruct((*shape, *info.image_shape), kind), labels)

  def sample(state, labels, key):
    latents = jax.vmap(algorithm.gan.sample_latent)(jax.random.split(key, config.batch_size))
    apply = algorithm.gan.generator.apply
    return apply(state.ema_params, state.ema_model_state, latents, labels, train=False)[0]

  def judge(state, images, labels):
    player, apply = state.discriminator, algorithm.gan.discriminator.apply
    return apply(player.params, player.model_state, images, labels, train=False)[0]

  given = None if labels is None else jax.ShapeDtypeStruct(labels.shape[1:], labels.dtype)
  images = jax.eval_shape(sample, state, given, key)
  return {
    "step": Part(algorithm.step, (state, batch, key)),
    "sample": Part(sample, (state, given, key)),
    "judge": Part(judge, (state, images, given)),
  }


def lowered(part: Part, platform: str) -> str:
  """Returns the program of a part for a platform, which need not be here."""
  exported = export.export(jax.jit(part.function), platforms=(platform,))(*part.arguments)
  return exported.mlir_module()


def faults(program: str) -> list[str]:
  """Returns what a lowered program holds that has no place on an accelerator, in words."""
  calls = {first or second for first, second in CALL.findall(program)}
  found = [f"a call of {name}" for name in sorted(calls)]
  found += [f"a transfer, {name}" for name in sorted(set(TRANSFER.findall(program)))]
  return found + (["float64"] if re.search(r"\bf64\b|xf64>", program) else [])


def donated(program: str) -> int:
  """Returns how many arguments of a lowered program give their memory to a result."""
  return len(DONATED.findall(program))


def dilated(program: str) -> int:
  """Returns how many convolutions of a lowered program have a dilated left side."""
  return len(DILATED.findall(program))


def peak(jaxpr: core.Jaxpr, of_products: bool = False) -> int:
  """Returns the most bytes of values alive at once in a program, its inputs left out.

  A value is alive from the operation that makes it to the last that reads it; what happens within
  an operation is on top of what is alive around it.

  Args:
    jaxpr: the program.
    of_products: whether values count that products and convolutions read or write, and no others.
  """
  last = {one: place for place, one in _reads(jaxpr)}
  counted = _touched(jaxpr) if of_products else None
  live = most = 0
  alive: dict[int, list[int]] = {}

  def size(one):
    return tree_bytes(one.aval) if counted is None or one in counted else 0

  for place, equation in enumerate(jaxpr.eqns):
    parts = core.jaxprs_in_params(equation.params)
    inner = max((peak(inside, of_products) for inside in parts), default=0)
    made = [one for one in equation.outvars if one in last]
    results = sum(map(size, equation.outvars))
    # The stacked results of a loop lie beside its body; of any other program they are its own last.
    loops = equation.primitive.name in ("scan", "while")
    most = max(most, live + (inner + results if loops else max(inner, results)))
    for one in made:
      alive.setdefault(last[one], []).append(size(one))
      live += size(one)
    live -= sum(alive.pop(place, []))
  return most


def _touched(jaxpr):
  """The values that products read or write, in the program or within its operations."""
  touching = [equation for equation in jaxpr.eqns if _multiplies(equation)]
  values = (one for equation in touching for one in (*equation.invars, *equation.outvars))
  return {one for one in values if isinstance(one, core.Var)}


def _multiplies(equation):
  """Whether an operation is a product or a convolution, or holds one."""
  if equation.primitive.name in ("dot_general", "conv_general_dilated"):
    return True
  return any(
    any(map(_multiplies, inside.eqns)) for inside in core.jaxprs_in_params(equation.params)
  )


def _reads(jaxpr):
  """(place, value) of all that is read, the results of the program behind its last operation."""
  for place, equation in enumerate(jaxpr.eqns):
    yield from ((place, one) for one in equation.invars if isinstance(one, core.Var))
  yield from ((len(jaxpr.eqns), one) for one in jaxpr.outvars if isinstance(one, core.Var))


def memory(step: Part) -> dict[str, int]:
  """Returns parameters of G and of D, bytes of the state, and at most those of a step's values."""
  state = step.arguments[0]
  counts = {
    player: sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(getattr(state, player).params))
    for player in PLAYERS
  }
  jaxpr = jax.make_jaxpr(jax.jit(step.function))(*step.arguments).jaxpr
  return counts | {"state": tree_bytes(state), "values": peak(jaxpr)}


def row(name: str) -> list[str]:
  """Returns a preset's row of the table.

  Raises:
    UserError: a program holds what its platform cannot run.
  """
  say(f"{name}: lowering for {' and '.join(ACCELERATORS)}")
  config = config_of(name)
  found = parts(config, data_of(name))
  for platform in ACCELERATORS:
    for part, each in found.items():
      if bad := faults(lowered(each, platform)):
        raise UserError(f"{name}: {part} for {platform} holds {', '.join(bad)}")
  needs = memory(found["step"])
  counts = ", ".join(f"{needs[player]:,}" for player in PLAYERS)
  sizes = [f"{needs[name] / 2**30:.3g}" for name in ("state", "values")]
  batch = f"{config.discriminator_steps} x {config.batch_size}"
  slow = dilated(lowered(found["step"], "cpu"))
  return [f"`{name}`", batch, config.precision, counts, *sizes, str(slow)]


def write(docs: pathlib.Path | None, command: str) -> str:
  """Puts the table of all presets between its marks in a page; returns it.

  Raises:
    UserError: the page has no such marks.
  """
  page = docs.read_text(encoding="utf-8") if docs else f"{BEGIN}{END}"
  before, begin, rest = page.partition(BEGIN)
  _, end, after = rest.partition(END)
  if not (begin and end):
    raise UserError(
      f"--docs={docs} has no lines {BEGIN} and {END} to write between: put them there"
    )
  head = ["preset", "batch", "precision", "parameters of G, D", "state, GiB", "values, GiB"]
  head.append("dilated, cpu")
  text = f"{TEXT.format(command=command)}\n{table(head, [row(name) for name in PRESETS])}"
  if docs:
    docs.write_text(f"{before}{begin}\n{text}{end}{after}", encoding="utf-8")
  return text
