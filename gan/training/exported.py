"""A generator that was exported as StableHLO: it is drawn from without the code of its networks."""

import functools
import hashlib
import math
import os
import pathlib
from typing import Any, NamedTuple

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from gan.errors import UserError
from gan.method.fields import KEY
from gan.system import memory, schema
from gan.training import pictures, sampling

EXPORT = "export.json"
GENERATOR, LATENTS = "generator.stablehlo", "latents.stablehlo"
TENSORS = "generator.safetensors"  # of the average alone
MODEL = "model.safetensors"  # of both players and the average
STABLEHLO, HUB = "stablehlo", "hub"
_KIND = schema.entries(
  {
    "format": schema.TEXT,
    "image_shape": schema.list_of(schema.POSITIVE, lengths=(1, 3)),
    "image_range": schema.list_of(schema.NUMBER, lengths=(2,)),
    "num_classes": schema.COUNT,
    "class_names": schema.list_of(schema.TEXT),
    "sha256": schema.entries(others=schema.TEXT),
    "step": schema.COUNT,
  },
  {"model": schema.TEXT},
)


class ExportedRun(NamedTuple):
  """A generator from a folder of `experiments.export`.

  Attributes:
    facts: export.json: what it was made of, shapes, classes.
    generator: `(latents [B, d] float32[, labels [B] int32]) -> images [B, H, W, C] float32` in
      facts["image_range"], or points [B, 2]; compiled.
    sample_latents: `(key data [2] uint32, places [B] int32) -> latents`; compiled.
  """

  facts: dict[str, Any]
  generator: Any
  sample_latents: Any

  def __repr__(self) -> str:
    """One line, as of a run."""
    name, shape = self.facts.get("dataset"), tuple(self.facts["image_shape"])
    return f"ExportedRun({self.facts.get('loss')}, {name} {shape}, step {self.facts.get('step')})"

  def sample(
    self, count: int, key: Key[Array, ""], labels: Int[np.ndarray, " n"] | None = None
  ) -> np.ndarray:
    """Returns examples as `LoadedRun.sample` of the run does, to rounding: uint8, or points.

    Args:
      count: how many; example i depends on the key, on i and on its label only.
      key: of the latents, of JAX's default generator of random numbers.
      labels: [count], for a conditional generator; by default each class in turn.

    Raises:
      UserError: labels or a key that cannot be.
    """
    count = schema.check_whole("count", count, least=1)
    memory.require(count * math.prod(self.facts["image_shape"]), f"{count:,} samples", "`count`")
    data = jax.random.key_data(schema.check("key", key, KEY))
    if data.shape != (2,):
      raise UserError(f"key is of {jax.random.key_impl(key)}: give one of threefry2x32")
    labels = sampling.class_labels(count, labels, self.facts["num_classes"])
    size = min(count, sampling.BATCH_SIZE)
    parts = [self._batch(data, start, size, labels) for start in range(0, count, size)]
    return np.concatenate(parts)[:count]

  def _batch(self, data, start, size, labels) -> np.ndarray:
    """Examples from `start` on, `size` of them: all batches are of one shape."""
    latents = self.sample_latents(data, jnp.arange(start, start + size, dtype=jnp.int32))
    chosen = () if labels is None else (np.resize(labels[start : start + size], size),)
    drawn = np.asarray(self.generator(latents, *chosen))
    is_points = drawn.ndim == 2
    return drawn if is_points else pictures.to_uint8(drawn, tuple(self.facts["image_range"]))


def load(folder: str) -> ExportedRun:
  """Reads an export as StableHLO.

  Raises:
    UserError: it is in another form, is damaged, or a package for it is missing.
  """
  path = pathlib.Path(folder)
  facts = read_facts(folder)
  if facts["format"] != STABLEHLO:
    raise UserError(
      f"{folder} is an export as {facts['format']}, which has no program for JAX: name one as "
      f"{STABLEHLO}, or the run folder"
    )
  return ExportedRun(facts, *(program(path / name) for name in (GENERATOR, LATENTS)))


def form(folder: str | os.PathLike) -> str:
  """Returns the form of the export in a folder; "" where there is none."""
  facts = schema.read(pathlib.Path(folder) / EXPORT, _KIND, "export the run again")
  return facts["format"] if facts else ""


def read_facts(folder: str | os.PathLike) -> dict[str, Any]:
  """Returns export.json; UserError where a file beside it is not as it was written."""
  path = pathlib.Path(folder)
  facts = schema.read(path / EXPORT, _KIND, "export the run again")
  if facts["sha256"] != checksums(path):
    raise UserError(f"{folder} is not as it was written: export the run again")
  return facts


def checksums(folder: pathlib.Path) -> dict[str, str]:
  """Returns the SHA-256 of each program in a folder, and of a hub's weights, by its name."""
  there = [folder / name for name in (GENERATOR, LATENTS, MODEL) if (folder / name).is_file()]
  return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in there}


def program(path: pathlib.Path) -> Any:
  """A compiled function of a file; UserError for one that cannot be read, or runs elsewhere."""
  require_flatbuffers()
  try:
    found = jax.export.deserialize(bytearray(path.read_bytes()))
  except OSError as error:
    raise UserError(f"cannot read {path}: {error.strerror}; export the run again") from error
  except Exception as error:  # flatbuffers raises whatever damaged bytes provoke
    reason = str(error).split("\n")[0] or type(error).__name__
    raise UserError(f"{path} is damaged ({reason}): export the run again") from error
  if (here := jax.default_backend()) not in ("gpu", *found.platforms):
    raise UserError(f"{path} is for {', '.join(found.platforms)}, and JAX runs on {here} here")
  return jax.jit(functools.partial(_call, found))


def _call(found: jax.export.Exported, *arguments: Array) -> Array:
  return found.call(*arguments)


def require_flatbuffers() -> None:
  """Raises UserError where the package is missing by which JAX writes and reads programs."""
  try:
    import flatbuffers  # noqa: F401
  except ImportError as error:
    raise UserError("StableHLO needs flatbuffers: pip install 'gan-jax[export]'") from error
