"""Which figures a study's two phases have beside those of any comparison, with their captions."""

import functools

from gan.report import confirmation, metric_figures, searches, study_figures, table
from gan.report.analysis import Analysis
from gan.report.drawing import Drawing


def of_selection(analysis: Analysis) -> list[Drawing]:
  """Returns, of a confirmation, what it makes of the values by which settings were chosen."""
  if analysis.search is None:
    return []
  found = confirmation.optimism(analysis)
  said = ", ".join(f"{loss} {table.text(value, 3)}" for loss, value in found.items())
  text = (
    "Open diamonds: the best value of the search, which is the lowest (or highest) of several "
    "noisy ones and so flatters. Points: seeds of the confirmation in the same setting; strokes "
    "and bars: their median with its 95 % bootstrap interval, from three seeds up. Squares, where "
    "there are some: the run of the diamond measured again with other samples. Optimism, the "
    f"median of the confirmation less the best of the search: {said}."
  )
  return [
    Drawing(
      "search_selection",
      "What choosing flatters",
      text,
      functools.partial(study_figures.selection, analysis),
    )
  ]


def of_map(search: Analysis) -> list[Drawing]:
  """Returns the map of a search, where losses vary two hyper-parameters that make one."""
  fields = study_figures.map_fields(search) if searches.search_of(search) else None
  losses = study_figures.losses_with(search, *fields) if fields else []
  if not losses:
    return []
  rest = [loss for loss in search.study.losses if loss not in losses]
  without = f" {', '.join(rest)} did not vary both." if rest else ""
  text = (
    f"Each point is a setting of the search at its {fields[0]} and {fields[1]}, whatever its other "
    f"hyper-parameters; crosses: it diverged in at least one seed.{without}"
  )
  return [
    Drawing(
      "search_map",
      f"{metric_figures.title(search.metric)} and divergence over {fields[0]} and {fields[1]}",
      text,
      functools.partial(study_figures.divergence_map, search, fields),
    )
  ]
