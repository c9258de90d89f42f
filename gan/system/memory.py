"""Whether what is asked for can fit into the memory there is, said before anything is allocated."""

import math
import os
import pathlib
from typing import Any

from gan.errors import UserError

# Where a container's share of the machine stands, by versions 2 and 1 of control groups.
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def machine_bytes() -> int:
  """Returns the memory that this machine, or this container of it, has."""
  physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
  limits = (path.read_text().strip() for path in map(pathlib.Path, LIMITS) if path.is_file())
  return min([physical, *(int(limit) for limit in limits if limit.isdecimal())])


def require(size: float, what: str, fields: str, available: int | None = None) -> None:
  """Raises UserError where something is larger than the memory.

  Args:
    size: bytes that it takes at least.
    what: needs them, in words.
    fields: that make it so large.
    available: bytes that there are; those of the machine by default.
  """
  available = machine_bytes() if available is None else available
  if size > available:
    raise UserError(
      f"{shown(size)} of memory are needed for {what}, and there are {shown(available)}: make "
      f"{fields} smaller"
    )


def shown(size: float) -> str:
  """Bytes in words, such as 3.2 GiB."""
  units = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
  power = min(int(math.log(max(size, 1), 1024)), len(units) - 1)
  number = size / 1024**power
  return f"{number:.1f} {units[power]}" if number < 100 else f"{number:,.0f} {units[power]}"


def require_training(config: Any, init: Any, image_shape: tuple[int, ...]) -> None:
  """Raises UserError where a run cannot fit: by its state, its batches or its evaluations.

  Lower bounds, from shapes alone: activations come on top.

  Args:
    config: of the run.
    init: `key -> GanState` of it.
    image_shape: of one example.
  """
  import jax

  # The arrays of a state stand beside their successors, real examples beside fakes and latents.
  state = 2 * tree_bytes(jax.eval_shape(init, jax.random.key(0)))
  example = math.prod(image_shape)
  numbers = (config.discriminator_steps + 1) * example + config.latent_dim
  batch = 4 * config.batch_size * numbers
  limits = [(device.memory_stats() or {}).get("bytes_limit", 0) for device in jax.local_devices()]
  available = max(machine_bytes(), sum(limits))
  require(state, "the state of a run", "width, latent_dim or image_size", available)
  require(batch, "a batch", "batch_size, discriminator_steps or image_size", available)
  if config.eval_every:
    # uint8 images or float32 points, in parts and then as one.
    samples = 2 * config.eval_samples * example * (4 if len(image_shape) == 1 else 1)
    require(samples, "an evaluation", "eval_samples")


def tree_bytes(tree: Any) -> int:
  """Returns the bytes of all arrays of a tree, or of what has their shapes and types."""
  import jax

  return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))
