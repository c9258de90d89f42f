"""What the study says in words: nothing is claimed that does not survive the tests."""

import collections
from collections.abc import Sequence

from experiments.small_data import training
from experiments.small_data.arms import ARMS, NONE
from experiments.small_data.results import EARLIER, METRIC, Claim, Result
from gan.report import words
from gan.report.analysis import metric_name
from gan.report.table import text
from gan.system import schema
from gan.system.schema import COUNT, entries, list_of

_FACTS = entries({"examples": COUNT, "classes": list_of(COUNT)})


def findings(results: Sequence[Result], claims: Sequence[Claim]) -> list[str]:
  """Returns the result in a few sentences: how far NONE rises again, and what is better than it."""
  rises = {claim.cell: claim for claim in claims if claim.arm == NONE}
  said = [_rise(result, rises[result.cell]) for result in results if result.cell in rises]
  return [*said, *_beside_none(claims)]


def _rise(result, claim) -> str:
  row, name = result.row(NONE), metric_name(METRIC)
  if not row.last:
    return f"{result.cell.title}: no run of {NONE} has a value."
  verdict = {True: "survives the correction", False: "does not survive the correction"}
  rise, tested = claim.comparison.difference, claim.comparison.adjusted is not None
  found = (
    f"{result.cell.title}, without any of the means: median {name} {text(row.best.median)} at its "
    f"best and {text(row.last.median)} at step {row.step} ({_seeds(row.last.count)})"
  )
  if not rise:
    return f"{found}." if rise is None else f"{found}, which is where the seeds are best."
  what = verdict[claim.comparison.survives] if tested else "could not be tested"
  return f"{found}; the mean change since then, {rise:+.3g}, {what}."


def _seeds(count):
  return "1 seed" if count == 1 else f"{count} seeds"


def _beside_none(claims) -> list[str]:
  asked = [claim for claim in claims if claim.arm != NONE]
  if not asked:
    return []
  name = metric_name(METRIC)
  if all(claim.comparison.adjusted is None for claim in asked):
    return [f"No difference to {NONE} could be tested: that takes at least two seeds of both."]
  surviving = [claim for claim in asked if claim.comparison.survives]
  if not surviving:
    return [
      f"Of {len(asked)} differences to {NONE} in the last {name} no one survives the correction, "
      "which does not show that there is none: few seeds find large ones only."
    ]
  said = "; ".join(
    f"{claim.arm} is {'better' if claim.comparison.difference < 0 else 'worse'} at "
    f"{claim.cell.title} (by {abs(claim.comparison.difference):.3g})"
    for claim in surviving
  )
  count = f"{len(surviving)} of {len(asked)}"
  verb = "survives" if len(surviving) == 1 else "survive"
  return [f"{count} differences to {NONE} in the last {name} {verb} the correction: {said}."]


def method(claims: Sequence[Claim]) -> str:
  """Returns what the tests are, with their power."""
  count = sum(claim.comparison.count > 1 for claim in claims)
  return (
    f"Differences of {metric_name(METRIC)} by seed: each arm's last value less that of {NONE}, "
    f"and, of {NONE}, the last value less that at {EARLIER}, which is not picked from the run's "
    f"own noise. Two-sided paired t-tests, Holm's correction for all {count} of the page together; "
    f"intervals are at level 1 - 0.05 / {max(count, 1)} (Bonferroni). Few seeds have little power: "
    "a difference that does not survive is not shown to be none. A run that diverged enters with "
    "its last value before."
  )


def notes(results: Sequence[Result]) -> list[str]:
  """Returns what a reader has to know before believing the page."""
  found = [
    "Every arm is trained with the rates, the network and the steps of the arm without any, and "
    "with one strength: an arm that wants others is not shown at its best.",
    "Metrics set samples beside the whole training split, of which a share is trained on, by the "
    "features of a small classifier: they are not the FID of papers.",
  ]
  found += filter(None, map(_classes, results))
  found += filter(None, map(_strength, results))
  found += [
    f"{result.cell.title}: {note}" for result in results for note in result.analysis.study.notes
  ]
  return found


def _classes(result) -> str:
  """How many examples a share has; they are the first, and nothing balances their classes."""
  remedy = "delete it, and give the same command again"
  facts = schema.read(result.folder / training.FACTS, _FACTS, remedy)
  if facts is None:
    return ""
  counts = facts["classes"]
  return (
    f"{result.cell.title}: the first {facts['examples']:,} training images, {min(counts):,} to "
    f"{max(counts):,} of a class, as they come."
  )


def _strength(result) -> str:
  """How strong the augmentation was that ada controls; near 0 the arm is as NONE."""
  records = [run.metrics[-1] for run in result.analysis.study.runs if run.metrics]
  last = [record["ada_strength"] for record in records if "ada_strength" in record]
  if not last:
    return ""
  strengths = " to ".join(dict.fromkeys(f"{value:.2g}" for value in (min(last), max(last))))
  return (
    f"{result.cell.title}: the strength to which ada set its augmentation was {strengths} in its "
    f"last records; near 0 the arm is as {NONE}."
  )


def facts(results: Sequence[Result]) -> list[tuple[str, list[str]]]:
  """Returns (heading, lines) of the foot: the arms, and those of all cells, each line once."""
  merged = collections.defaultdict(dict)
  arms = dict.fromkeys(arm for result in results for arm in result.arms)
  merged["Arms"] = {f"{arm}: {_arm(arm)}": None for arm in arms}
  for result in results:
    for heading, lines in words.facts(result.analysis):
      merged[heading] |= dict.fromkeys(lines)
  return [(heading, list(lines)) for heading, lines in merged.items()]


def _arm(arm) -> str:
  fields = " ".join(f"--{name}={value}" for name, value in ARMS[arm].fields.items())
  return f"{ARMS[arm].about}{f' ({fields})' if fields else ''}"
