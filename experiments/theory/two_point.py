"""The landscape of Sun et al. on two points."""

import math

import jax
from matplotlib.figure import Figure

from experiments.theory import style
from experiments.theory.case import Check, Result, Settings, close
from gan.report import plots
from gan.report.line_names import name_lines
from gan.theory import two_point

SOURCE = "Sun et al. 2020, arXiv:2011.04926, two-point case"
THEOREM = "Sun et al. 2020, arXiv:2011.04926, n^n - n!"
LOSSES = {
  # name: its label, the exact value, and the mean over the two players' terms
  "sat": ("JS-GAN", two_point.js_value, 2),
  "rsgan": ("RS-GAN", two_point.paired_value, 1),
}
MORE = {
  "three points, (0, 0, 1)": (0, 0, 1),
  "three points, a cycle (1, 2, 0)": (1, 2, 0),
  "four points, (1, 0, 0, 3)": (1, 0, 0, 3),
}


def run(settings: Settings) -> Result:
  """Collapse onto one of two points is a dip for the original GAN, and level for the paired loss.

  The data are two points; the generator's two samples lie on neither, on one, both on one
  (collapsed), or on both. The value is what is left for G to lower when D is at its optimum: to
  leave the collapse, the samples of the original GAN must climb first.
  """
  with jax.enable_x64(True):
    records = [
      {"loss": name, "state": state, "places": list(places), **_values(name, places)}
      for name in LOSSES
      for state, places in (two_point.STATES | MORE).items()
    ]
    checks = [_check(record) for record in records] + [_order(records, name) for name in LOSSES]
    checks += [_count(points) for points in ((2, 3) if settings.quick else (2, 3, 4))]
  return Result(checks, {"landscape": _figure(records)}, records, [])


def _values(name, places):
  _, exact, terms = LOSSES[name]
  return {"ours": two_point.trained_value(name, places) / terms, "exact": exact(places)}


def _check(record) -> Check:
  quantity = f"{LOSSES[record['loss']][0]}, {record['state']}"
  return close(quantity, record["ours"], record["exact"], absolute=1e-3, source=SOURCE)


def _order(records, name) -> Check:
  value = {row["state"]: row["ours"] for row in records if row["loss"] == name}
  climb = value["matched"] - value["collapsed"]
  exact = LOSSES[name][1]
  expected = exact(two_point.STATES["matched"]) - exact(two_point.STATES["collapsed"])
  title = f"{LOSSES[name][0]}, climb out of the collapse"
  return close(title, climb, expected, absolute=1e-3, source=SOURCE)


def _count(points) -> Check:
  exact = points**points - math.factorial(points)
  title = f"JS-GAN, suboptimal strict local minima on {points} points"
  return close(title, two_point.local_minima(points), exact, absolute=0.5, source=THEOREM)


def _figure(records) -> Figure:
  figure, ((axes,),) = style.panels(1, 1, 3.0)
  path = ["none", "collapsed", "matched", "both"]
  for i, (name, (label, _, _)) in enumerate(LOSSES.items()):
    value = {row["state"]: row["ours"] for row in records if row["loss"] == name}
    look = style.line_style(i) | {"marker": plots.MARKERS[i], "label": f"{label} ({name})"}
    axes.plot(range(len(path)), [value[state] for state in path], **look)
  where = ["neither\non a point", "both on one\n(collapsed)", "one on a point", "one on each"]
  axes.set_xticks(range(len(path)), where)
  axes.set(ylabel="value at the optimal D (G descends)", xlabel="where the two samples lie")
  name_lines(axes)
  return figure
