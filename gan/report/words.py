"""What a study says in words, made from its numbers."""

import collections
import math
from typing import Any

from gan.metrics.best import RANKED, better
from gan.report import confirmation, power, sample_figures
from gan.report.analysis import Analysis, Row, metric_name, rank
from gan.report.statistics import LEAST_SEEDS, Centre
from gan.report.table import text

MOST_NAMED = 8  # runs that a note names
MOST_SAID = 3  # losses whose differences the head of the page tells one by one
_IN_PERCENT = f"{100 * power.POWER:.0f} %"


def findings(analysis: Analysis) -> list[str]:
  """Returns the result in a few sentences: first what tests support, then values.

  No loss is called better without a difference that survives the correction, and none the best.
  """
  if analysis.metric is None:
    return ["No run has been evaluated by a metric of samples: there is no value to compare."]
  name, step = metric_name(analysis.metric), analysis.headline[0].step
  if better(analysis.metric) not in RANKED:
    said = f"The {name} has no direction that is better; the table has its values at step {step}."
    return [said, *_significance(analysis)]
  rows = [analysis.row(loss) for loss in analysis.ranking]
  rows = [row for row in rows if row and row.last and math.isfinite(rank(row))]
  if not rows:
    said = f"No loss has a finite {name} from runs that did not diverge, up to step {step}."
    return [said, *_significance(analysis)]
  return [*_significance(analysis), _values(rows, name, step), *_selection(analysis)]


def _values(rows: list[Row], name: str, step: int) -> str:
  """The medians of the first losses of the ranking, with intervals."""
  what = f"median {name}" if any(row.last.count > 1 for row in rows) else name
  if len(rows) == 1:
    loss, last = rows[0].loss, rows[0].last
    value = f"{what} {text(last.median)} at step {step} ({_spread(last)})"
    return f"Only {loss} has a value: {value}."
  said = [f"{text(row.last.median)} for {row.loss} ({_briefly(row.last)})" for row in rows]
  more = f"; {len(rows) - MOST_SAID} more are in the table" if len(rows) > MOST_SAID else ""
  return f"{what[0].upper()}{what[1:]} at step {step}: {_list(said[:MOST_SAID])}{more}."


def _briefly(centre: Centre) -> str:
  return _spread(centre) if centre.median_interval else _seeds(centre.count)


def _spread(centre: Centre) -> str:
  if centre.median_interval is None:
    return f"{_seeds(centre.count)}, too few for an interval"
  low, high = map(text, centre.median_interval)
  return f"{_seeds(centre.count)}, 95 % interval {low} to {high}"


def _selection(analysis) -> list[str]:
  """What has to be said where hyper-parameters vary too."""
  if analysis.search:
    return [confirmation.sentence(analysis)]
  if not analysis.study.varied:
    return []
  settings = collections.Counter(row.loss for row in analysis.headline)
  fields = _list(analysis.study.varied)
  return [
    f"Each loss stands in its best of up to {max(settings.values())} settings of {fields}, chosen "
    "by the median over seeds of these very evaluations, which flatters losses with more settings; "
    "runs that diverged count as the worst in this choice."
  ]


def _significance(analysis) -> list[str]:
  tested = [found for found in analysis.comparisons if found.adjusted is not None]
  surviving = [found for found in tested if found.survives]
  if not analysis.comparisons:
    return []
  if surviving:
    return _shown(analysis, surviving)
  none = "No loss is shown to be better"
  if better(analysis.metric) not in RANKED:
    none = "No two losses are shown to differ"
  if not tested and _family(analysis):
    return [f"{none}: no pair could be tested, the differences of each are the same in all seeds."]
  if not tested:
    return [f"{none}: no pair could be tested, which takes at least two seeds that both have."]
  tests = _tests(_family(analysis))
  return [
    f"{none}: no difference between two losses survives the correction for {tests}.",
    *_power(analysis),
  ]


def _shown(analysis, surviving) -> list[str]:
  """What survives, and which losses nothing is shown to beat."""
  verb = "survives" if len(surviving) == 1 else "survive"
  over = " (over all settings that both have)" if analysis.study.varied else ""
  count = f"{len(surviving)} of {_family(analysis)} differences between losses{over}"
  said = [f"{count} {verb} the correction{_examples(analysis, surviving)}."]
  if sign := RANKED.get(better(analysis.metric)):
    beaten = {each.first if sign * each.difference > 0 else each.second for each in surviving}
    rest = [loss for loss in analysis.ranking if loss not in beaten]
    said += [f"No loss is shown to be better than {_list(rest, 'or')}."] if rest else []
  return said


def _power(analysis) -> list[str]:
  """What the study could have seen, where it saw nothing."""
  found = power.detectable(analysis.comparisons)
  if found is None:
    return []
  return [
    f"With {_seeds(found.count)} and {_tests(found.tests)} this study would have seen a difference "
    f"of {text(found.difference, 2)} in {metric_name(analysis.metric)} in {_IN_PERCENT} of cases; "
    "it says little of smaller ones."
  ]


def _family(analysis) -> int:
  """How many pairs are corrected for: those with a difference in at least two seeds."""
  return sum(found.count > 1 for found in analysis.comparisons)


def _examples(analysis, surviving) -> str:
  """The first surviving differences in words, those of the best losses first."""
  sign = RANKED.get(better(analysis.metric))
  if sign is None:
    return ""
  worse = {loss: [] for loss in analysis.ranking}
  for found in surviving:
    names = (found.first, found.second)
    winner, other = names if sign * found.difference < 0 else names[::-1]
    worse[winner].append(other)
  said = [(loss, others) for loss, others in worse.items() if others][:MOST_SAID]
  rest = len(surviving) - sum(len(others) for _, others in said)
  text = "; ".join(f"{loss} is better than {_list(others)}" for loss, others in said)
  return f": {text}" + (f"; and {rest} more in the table" if rest else "")


def method(analysis: Analysis) -> str:
  """Returns what the table of comparisons is, with its power."""
  tests = _family(analysis)
  count = max((found.count for found in analysis.comparisons), default=0)
  settings = (
    " A seed's difference is the mean over the settings that both losses have with it."
    if analysis.study.varied
    else ""
  )
  of = "seed paired, each loss in its own setting"
  of = of if analysis.search else "seed and the same hyper-parameters paired"
  return (
    f"Difference of last values of the {metric_name(analysis.metric)} at step "
    f"{analysis.headline[0].step}, runs of the same {of}."
    f"{settings} Two-sided paired t-test over at most {_seeds(count)}, Holm's correction for "
    f"{_tests(tests)}; intervals are at level 1 - 0.05 / {max(tests, 1)} (Bonferroni), so that all "
    "hold together. Few seeds have little power: a difference that does not survive is not shown "
    f"to be none.{_seen(analysis)} A run that diverged enters with its last value before, or not "
    "at all."
  )


def _seen(analysis) -> str:
  found = power.detectable(analysis.comparisons)
  if found is None:
    return ""
  return (
    f" The smallest that is seen in {_IN_PERCENT} of studies with {_seeds(found.count)} is "
    f"{text(found.difference, 2)}: by the noncentral t distribution at level 0.05 / {found.tests}, "
    "with the standard deviation of the differences of all pairs together."
  )


def notes(analysis: Analysis) -> list[str]:
  """Returns what a reader has to know of the runs before believing the page."""
  found = analysis.study.notes + sample_figures.notes(analysis)
  found += confirmation.notes(analysis) if analysis.search else []
  few = [
    row.loss
    for loss in analysis.ranking
    if (row := analysis.row(loss)) and _count(row) < LEAST_SEEDS
  ]
  if few:
    found.append(
      f"Fewer than {LEAST_SEEDS} seeds with a value: {', '.join(few)}. There each seed is shown by "
      "itself and no interval is given."
    )
  if infinite := _infinite(analysis):
    found.append(f"Infinite values are in the tables as inf and in no figure: {infinite}.")
  if further := _further(analysis):
    found.append(
      f"Last and best values are up to step {analysis.headline[0].step}, the last that all runs "
      f"which did not diverge have reached; {_runs(further)} went further, as curves show."
    )
  if early := _earlier(analysis):
    found.append(f"The last evaluation is of an earlier step than that of the table in {early}.")
  return found


def _further(analysis) -> int:
  """How many runs were evaluated after the step of the table."""
  step = analysis.headline[0].step if analysis.headline else None
  ends = [run.points(analysis.metric)[-1:] for run in analysis.study.runs]
  return sum(point[0] > step for end in ends for point in end)


def _count(row):
  return row.last.count if row.last else 0


def _infinite(analysis) -> str:
  counts = collections.Counter(
    row.metric
    for row in analysis.rows
    for outcome in row.outcomes
    if outcome.last and abs(outcome.last[1]) == float("inf")
  )
  return ", ".join(f"{name} of {_runs(count)}" for name, count in counts.items())


def _earlier(analysis) -> str:
  """Runs whose last value is of an earlier step than that of the table, the first by name."""
  names = [
    f"{outcome.run.folder.name} (step {outcome.last[0]})"
    for row in analysis.headline
    for outcome in row.outcomes
    if outcome.last and outcome.last[0] < row.step and outcome.run.status != "stopped"
  ]
  more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
  return ", ".join(names[:MOST_NAMED]) + more


def facts(analysis: Analysis) -> list[tuple[str, list[str]]]:
  """Returns (heading, lines) of the foot: commands, data, counts, versions, hardware, seeds."""
  runs = analysis.study.runs + (analysis.search.study.runs if analysis.search else [])
  configs = [run.record["config"] for run in runs]
  evaluations = [record for run in runs for record in run.evaluations]
  sessions = [session for run in runs for session in run.sessions]
  found = [
    ("Commands", _distinct(_commands(analysis))),
    ("Data", _distinct(_data(run.record) for run in runs)),
    ("Evaluations", _distinct(map(_evaluation, evaluations))),
    ("Seeds", _all_seeds(analysis)),
    ("A generator step", _distinct(map(_step, configs))),
    ("Versions", _distinct(map(_versions, sessions))),
    ("Hardware", _distinct(map(_hardware, sessions))),
    ("Commit", _distinct(session.get("git_commit") for session in sessions)),
  ]
  return [(heading, lines) for heading, lines in found if lines]


def _commands(analysis) -> list[str]:
  return analysis.study.commands + (analysis.search.study.commands if analysis.search else [])


def _all_seeds(analysis) -> list[str]:
  """Of each phase a line."""
  if analysis.search is None:
    return [_seeds_of(analysis)]
  return [f"confirmation {_seeds_of(analysis)}", f"search {_seeds_of(analysis.search)}"]


def _seeds_of(analysis) -> str:
  return ", ".join(map(str, sorted({run.seed for run in analysis.study.runs})))


def _distinct(values) -> list[str]:
  return list(dict.fromkeys(str(value) for value in values if value))


def _data(record: dict[str, Any]) -> str:
  config = record["config"]
  examples = record.get("num_examples")
  return (
    f"{config.get('dataset')} {config.get('split')}: {examples} examples, {record.get('source')}"
  )


def _evaluation(record) -> str:
  extractor = f"extractor {record['extractor']}" if record.get("extractor") else "no extractor"
  return (
    f"{record.get('eval_samples')} generated and {record.get('reference_samples')} reference "
    f"samples, {extractor}"
  )


def _step(config) -> str:
  updates, batch = config.get("discriminator_steps"), config.get("batch_size")
  return f"one update of G and {updates} of D, each on {batch} real images"


def _versions(session) -> str:
  packages = session.get("packages", {})
  return ", ".join(
    [f"python {session.get('python')}", *(f"{name} {v}" for name, v in packages.items())]
  )


def _hardware(session) -> str:
  devices = ", ".join(session.get("devices", []))
  return (
    f"{session.get('processor')}; {session.get('backend')}: {devices}; {session.get('platform')}"
  )


def _list(names, word="and") -> str:
  """a; a and b; a, b and c."""
  *first, last = names
  return f"{', '.join(first)} {word} {last}" if first else last


def _seeds(count):
  return "1 seed" if count == 1 else f"{count} seeds"


def _runs(count):
  return "1 run" if count == 1 else f"{count} runs"


def _tests(count):
  return "1 test" if count == 1 else f"{count} tests"
