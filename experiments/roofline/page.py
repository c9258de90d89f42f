"""The roofline sheet, docs/roofline.md, from what steps need and from published peaks."""

import urllib.parse

from experiments.roofline import predictions
from experiments.roofline.chips import CHIPS, PRECISIONS
from experiments.roofline.needs import Needs
from experiments.scaling.page import table

HEAD = """# What a step would take on one accelerator

Written by `{command}` (`make roofline`) with jax {jax}, on a machine without an accelerator.
**Every time on this page is a prediction from published peaks; none was measured**. A measured one
is longer than the lower of two: no program reaches a peak.

Each preset is taken at full size, in float32 and, where its source trains in bfloat16, in that. Its
step is lowered for CUDA (TPUs have the same forms) and counted; nothing is run.
"""

NEEDS = """## What a step needs (counted)

* **FLOPs** are those of products and convolutions, 2 for each multiplication of two numbers that
  are there; zeros of padding and of dilation are left out, and so is what nothing reads. A step is
  all updates of both players on their batches; where a penalty is for every n-th step, the mean.
* **Products** is how many products and convolutions that is. Each is a kernel at least, so a step
  takes no less than their launches, which are not in the predictions: for the smallest presets they
  are most of it.
* **GB moved** between memory and chip has two bounds, for a lowered program is not fused yet. The
  lower: products alone read and write there, and each argument and result of the step passes once.
  The upper: every operation reads what it needs and writes what it makes, but for those that only
  say how values are seen. Values that stay in a cache would go below the lower.
* **FLOPs a byte** is the intensity, from the upper to the lower of these bytes.
"""

TIMES = """## Predicted milliseconds of a step (not measured)

max(FLOPs / peak, bytes / bandwidth), for both bounds of the bytes, where FLOPs are over the peak of
their kind: a product of bfloat16; or of float32 in the precision that the program asks for, which
GPUs compute as TF32 and TPUs in one pass of bfloat16 unless that is the highest
([jax]({precisions})). The step is bound by `compute`, by `memory`, or by `either`, where it depends
on how much is fused.
"""

MEMORY = """## Memory and members (exact, and estimates)

The data set and the state are exact: both players, the average, what the optimisers keep. The
values of a step are an estimate with two bounds, by when each is made and last read in the order in
which the program is written: the lower keeps only what products read or write, as if all else were
fused into them; the upper keeps every value. A compiler reorders, and needs buffers of its own.
Members are the runs of a sweep that fit beside one data set, by the upper and by the lower; where
that is 0, `--accumulate` parts a batch, and several devices share it.
"""


def render(needs: list[Needs], command: str, jax: str) -> str:
  """Returns the page.

  Args:
    needs: of each preset in each precision.
    command: as it was typed.
    jax: its version.
  """
  parts = (
    HEAD.format(command=command, jax=jax),
    NEEDS,
    table(["preset", "precision", "batch", *COUNTED], [_counted(each) for each in needs]),
    TIMES.format(precisions=PRECISIONS),
    _by_chip([], needs, lambda each: [], _time),
    MEMORY,
    _by_chip(["data, GB", "state, GB", "values, GB"], needs, _sizes, _members),
    "## Published numbers\n",
    table(["accelerator", "what", "value", "read at"], _sources()),
  )
  return "\n".join(parts)


COUNTED = ("GFLOPs", "products", "GB moved", "FLOPs a byte")


def _label(each):
  return [f"`{each.name}`", each.config.precision]


def _counted(each):
  flops, moved = predictions.flops(each.counts), (each.counts["fused"], each.counts["unfused"])
  config = each.config
  return [
    *_label(each),
    f"{config.discriminator_steps} x {config.batch_size}",
    _number(flops / 1e9),
    f"{each.counts['products']:.0f}",
    _range(*(size / 1e9 for size in moved)),
    _range(*(flops / size for size in reversed(moved))),
  ]


def _by_chip(head, needs, before, cell):
  rows = [[*_label(each), *before(each), *(cell(each, chip) for chip in CHIPS)] for each in needs]
  return table(["preset", "precision", *head, *(chip.name for chip in CHIPS)], rows)


def _time(each, chip):
  times = (1e3 * seconds for seconds in predictions.step_seconds(each.counts, chip))
  return f"{_range(*times)}, {predictions.bound(each.counts, chip)}"


def _sizes(each):
  data, state, least, most = (size / 1e9 for size in each.memory)
  return [_number(data), _number(state), _range(least, most)]


def _members(each, chip):
  fewest, most = predictions.members(each.memory, chip)
  return f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}"


def _range(least, most):
  shown = [_number(least), _number(most)]
  return shown[0] if shown[0] == shown[1] else " to ".join(shown)


def _number(value):
  """Three digits, or all of a whole number that has more."""
  return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _sources():
  return [
    [chip.name, what, value, f"[{urllib.parse.urlsplit(url).netloc}]({url})"]
    for chip in CHIPS
    for what, value, url in chip.sources
  ]
