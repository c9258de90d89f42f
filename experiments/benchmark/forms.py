"""Times the forms that a convolution can take, one by one: `python -m experiments.benchmark.forms`.

They are those among which `gan/models/layers/convolution.py` chooses by platform and shape.
"""

import statistics
import time
from collections.abc import Callable, Iterator

import jax

from experiments.benchmark import results
from experiments.cli.common import prepare
from gan.models.layers import patches, plain
from gan.system.compilation import compiled

# Batch, side of the large images, their channels, those of the small ones: the layers of `dcgan`
# for 28 and 64 pixels.
SHAPES = [
  (128, 28, 1, 64),
  (128, 14, 64, 128),
  (64, 64, 3, 64),
  (64, 32, 64, 128),
  (64, 16, 128, 256),
  (64, 8, 256, 512),
]
KERNEL, STRIDE, TURNS = 4, 2, 15


def _strided(form):
  return lambda *operands: form(*operands, STRIDE)


# Map -> form -> function, and which of (images, inputs, kernel) it is given.
FORMS = {
  "convolution": (
    {"plain": _strided(plain.conv), "patches": _strided(patches.conv)},
    lambda images, inputs, kernel: (images, kernel),
  ),
  "transposed": (
    {
      "plain": _strided(plain.conv_transpose),
      "patches": _strided(patches.conv_transpose),
      "to blocks": _strided(patches.conv_transpose_to_blocks),
    },
    lambda images, inputs, kernel: (inputs, kernel),
  ),
  "kernel's gradient": (
    {
      "plain": _strided(plain.kernel_gradient),
      "in order": _strided(plain.kernel_gradient_in_order),
    },
    lambda *operands: operands,
  ),
}


def main():
  prepare()
  head = ["batch, sides, channels", "GFLOP", "what", "ms of each form"]
  print(results.markdown(head, [row for shape in SHAPES for row in _rows(*shape)]))


def _rows(batch, side, channels, features) -> Iterator[list[str]]:
  small = side // STRIDE
  operands = _operands(
    (batch, side, side, channels),
    (batch, small, small, features),
    (KERNEL, KERNEL, channels, features),
  )
  shown = f"{batch}, {side} to {small}, {channels} to {features}"
  gflop = 2 * batch * small**2 * KERNEL**2 * channels * features / 1e9
  for name, (forms, order) in FORMS.items():
    times = {form: milliseconds(function, *order(*operands)) for form, function in forms.items()}
    yield [shown, f"{gflop:.2f}", name, ", ".join(f"{f} {t:.1f}" for f, t in times.items())]


def _operands(*shapes):
  keys = jax.random.split(jax.random.key(0), len(shapes))
  return [jax.random.normal(key, shape) for key, shape in zip(keys, shapes, strict=True)]


def milliseconds(function: Callable, *arguments) -> float:
  """Returns the median time of a compiled function."""
  run, times = compiled(function), []
  for _ in range(TURNS + 2):
    began = time.perf_counter()
    jax.block_until_ready(run(*arguments))
    times.append(time.perf_counter() - began)
  return statistics.median(times[2:]) * 1e3


if __name__ == "__main__":
  main()
