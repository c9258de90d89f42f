"""What a case of the theory lab is given, and what it hands back."""

import math
import pathlib
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from PIL import Image


class Settings(NamedTuple):
  """How a case is run.

  Attributes:
    quick: fewer steps and seeds; the criteria are the same.
    seeds: how many seeds, None for the case's own number.
    data_dir: where data sets lie, or None.
    workdir: a run folder to look into, or None.
    outdir: where cases that train runs keep them.
  """

  quick: bool = False
  seeds: int | None = None
  data_dir: str | None = None
  workdir: str | None = None
  outdir: pathlib.Path = pathlib.Path("runs/theory")

  def seeds_or(self, full: int, quick: int) -> int:
    """Returns the number of seeds that was asked for, or the case's own."""
    return self.seeds or (quick if self.quick else full)


class Check(NamedTuple):
  """One row of the table.

  Attributes:
    quantity: what was measured.
    ours: our value, as text.
    expected: the published or exact value and what is allowed, as text; "" where there is none.
    source: where that value is from.
    passed: whether the criterion is met; None where there is none and the value is reported.
  """

  quantity: str
  ours: str
  expected: str
  source: str
  passed: bool | None


class Result(NamedTuple):
  """What a case found.

  Attributes:
    checks: the table.
    figures: pictures by the names of their files.
    records: JSON objects, one a seed (or run), written to records.jsonl.
    notes: sentences on what is seen and what is not.
    films: frames of animations by the names of their files; none for a run that ended at once.
  """

  checks: list[Check]
  figures: dict[str, Figure]
  records: list[dict[str, Any]]
  notes: list[str]
  films: dict[str, list[Image.Image]] = {}


def close(
  quantity: str,
  ours: float,
  expected: float,
  *,
  source: str,
  relative: float = 0.0,
  absolute: float = 0.0,
) -> Check:
  """A number against a number, within a relative or an absolute tolerance."""
  passed = math.isclose(ours, expected, rel_tol=relative, abs_tol=absolute)
  allowed = f"{100 * relative:g} %" if relative else f"{absolute:g}"
  return Check(quantity, text(ours), f"{text(expected)} +- {allowed}", source, passed)


def within(quantity: str, values, low: float, high: float, *, source: str) -> Check:
  """Numbers, all of which must lie in [low, high]."""
  values = np.atleast_1d(np.asarray(values, float))
  passed = bool(np.all((values >= low) & (values <= high)))
  return Check(quantity, span(values), f"{text(low)} to {text(high)}", source, passed)


def at_most(quantity: str, values, bound: float, *, source: str) -> Check:
  """Numbers, all of which must be at most `bound`."""
  values = np.atleast_1d(np.asarray(values, float))
  passed = bool(np.all(values <= bound))
  return Check(quantity, span(values), f"at most {text(bound)}", source, passed)


def decided(quantity: str, ours: float, *, passes: float, fails: float, source: str) -> Check:
  """A number that passes from one bound on, fails from another on, and is open between them.

  Args:
    quantity: what was measured.
    ours: our value; one that is not finite fails.
    passes: the bound on the side of the claim; the claim is that numbers are large if it is the
      larger of the two.
    fails: the other bound.
    source: where the claim is from.
  """
  ours, sign = float(ours), 1 if passes > fails else -1
  open_between = math.isfinite(ours) and sign * fails < sign * ours < sign * passes
  words = ("at least", "at most")[::sign]
  expected = f"{words[0]} {text(passes)}; not if {words[1]} {text(fails)}"
  if open_between:
    return Check(quantity, f"{text(ours)}, inconclusive", expected, source, None)
  passed = math.isfinite(ours) and sign * ours >= sign * passes
  return Check(quantity, text(ours), expected, source, passed)


def inconclusive(check: Check) -> Check:
  """The row without its verdict, where what it presupposes does not hold."""
  if check.passed is None:
    return check
  return check._replace(ours=f"{check.ours}, inconclusive", passed=None)


def reported(quantity: str, ours: Any, expected: str = "", source: str = "") -> Check:
  """A value that no criterion is laid on."""
  return Check(quantity, ours if isinstance(ours, str) else span(ours), expected, source, None)


def span(values) -> str:
  """Numbers as text: one as itself, several as their range."""
  values = np.atleast_1d(np.asarray(values, float))
  low, high = text(values.min()), text(values.max())
  return low if low == high else f"{low} to {high}"


def text(value: float) -> str:
  """A number in six significant digits."""
  return f"{float(value):.6g}"
