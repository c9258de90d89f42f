"""The figures of a comparison: which there are, their captions, and what draws them."""

import functools

from gan.report import (
  matrix_figures,
  metric_figures,
  sample_figures,
  search_figures,
  searches,
  statistics,
  study_drawings,
  training_figures,
)
from gan.report.analysis import Analysis
from gan.report.drawing import Drawing


def drawings(analysis: Analysis) -> list[Drawing]:
  """Returns the figures for which there are records, in the order of the page.

  Of a confirmation those of settings are of the search behind it.
  """
  search = analysis.search or analysis
  return [
    *_of_crossing(analysis),
    *_of_evaluations(analysis),
    *_of_held_out(analysis),
    *study_drawings.of_selection(analysis),
    *_of_search(search),
    *study_drawings.of_map(search),
    *_of_training(analysis),
    *_of_settings(search),
  ]


def _of_crossing(analysis) -> list[Drawing]:
  field = matrix_figures.crossed(analysis)
  if field is None:
    return []
  text = (
    "In a cell: the median of last values over the seeds that did not diverge, and below it their "
    "range; the darker, the better. A cross and a count: runs that diverged. "
    f"{_sample_counts(analysis)}"
  )
  real = analysis.study.real
  return [
    Drawing(
      f"matrix_{metric}",
      f"{metric_figures.title(metric)} of losses by {field}",
      text + (f" Real data have {real[metric]:.3g}: {_in_place(real)}." if metric in real else ""),
      functools.partial(matrix_figures.matrix, analysis, metric),
    )
    for metric in matrix_figures.metrics(analysis)
  ]


def _in_matrix_only(analysis) -> bool:
  """Whether so many losses are crossed with a choice that a matrix alone shows all of them."""
  many = len(analysis.study.losses) > matrix_figures.MOST_CURVES
  return many and matrix_figures.crossed(analysis) is not None


def _of_evaluations(analysis) -> list[Drawing]:
  if analysis.metric is None or _in_matrix_only(analysis):
    return []
  name = metric_figures.title(analysis.metric)
  counts = " ".join([_sample_counts(analysis), *_real_data(analysis.study.real)])
  bands = (
    "Lines: interquartile mean over seeds (of three, their mean); bands: 95 % bootstrap intervals "
    "over seeds, from three seeds up. Of fewer than three each seed has its own line. A cross is "
    "the last evaluation of a run that diverged. Runs that trained together share their seconds. "
    f"{counts}"
  )
  draw = functools.partial(metric_figures.curves, analysis, analysis.metric)
  found = [
    Drawing(
      f"metric_by_{unit}",
      f"{name} against {short}",
      bands,
      functools.partial(draw, unit),
      "How the metrics changed",
    )
    for unit, short in (("step", "steps"), ("images", "images"), ("seconds", "wall time"))
  ]
  others = [metric for metric in analysis.study.metrics() if metric != analysis.metric]
  if others:
    draw = functools.partial(metric_figures.other_metrics, analysis, others)
    found.append(
      Drawing("other_metrics", "All other metrics against steps", bands, draw, found[0].part)
    )
  points = (
    "Points: single seeds, crosses those that diverged. Diamonds and bars: interquartile mean "
    "(of three seeds, their mean) with its 95 % bootstrap interval. Last is at step "
    f"{analysis.headline[0].step}, best up to there. {counts}"
  )
  strip = functools.partial(metric_figures.last_and_best, analysis)
  return [Drawing("last_and_best", f"{name}: last and best values", points, strip), *found]


def _of_held_out(analysis) -> list[Drawing]:
  recorded = {name for run in analysis.study.runs for it in run.evaluations for name in it}
  kinds = "solid on training data, dashed on held-out data"
  bands = (
    "Solid and dashed lines part as D learns by heart. Interquartile means over seeds with 95 % "
    "bootstrap intervals, from three seeds up; of fewer each seed has its own lines."
  )
  texts = {
    "logit": f"Mean logit of D: {kinds}, dotted on samples. Dashed lines that go to the dotted "
    f"ones are of a D that takes new data for samples. {bands}",
    "accuracy": f"Share of data and of samples, weighed equally, that D judges right: {kinds}, "
    f"beside the same samples. {bands}",
  }
  return [
    Drawing(
      f"held_out_{number}",
      f"The discriminator on data that it never saw: its {number}",
      text,
      functools.partial(training_figures.held_out, analysis, f"discriminator_{number}"),
    )
    for number, text in texts.items()
    if f"discriminator_{number}_held_out" in recorded
  ]


_BEST_OF_ORDERS = (
  "Lines: expected best of k settings, the mean over all orders of the search, from the k at which "
  "one that did not diverge is sure to be among them. Bands: where the best of k lies in 95 % of "
  "bootstrap orders."
)
_BEST_SO_FAR = "Lines: best of the first k settings, in the one order in which they were tried."


def _of_search(analysis) -> list[Drawing]:
  search = searches.search_of(analysis)
  if search is None:
    return []
  name = metric_figures.title(analysis.metric)
  counts = [len(found) for found in search.values.values()]
  least, most = min(counts), max(counts)
  of = (
    f"Each of the {least if least == most else f'{least} to {most}'} settings of a loss counts "
    f"once, by its last value at step {analysis.headline[0].step} (median over seeds); one that "
    "diverged is worse than all others."
  )
  if search.sequential:
    of += (
      " Each setting was chosen by the values before it: settings gather where a loss is good, and "
      "no two losses share them."
    )
  of += _of_stopped(search)
  found = [
    Drawing(
      "search_budget",
      f"{name}: best found against the budget",
      f"{_BEST_SO_FAR if search.sequential else _BEST_OF_ORDERS} {of}",
      functools.partial(search_figures.budget, analysis, search),
    ),
    Drawing(
      "search_distribution",
      f"{name} over the search",
      "Boxes: quartiles and median of the settings that did not diverge, whiskers to the last "
      "within 1.5 times the box. Points: settings; diamonds: the values as they stand, the first "
      f"sample. {of}",
      functools.partial(search_figures.distribution, analysis, search),
    ),
    Drawing(
      "search_profile",
      "Performance profiles",
      "The share of the settings of each loss that are at least as good as a value: the higher a "
      f"line, the less a loss depends on its setting. {of}",
      functools.partial(search_figures.profile, analysis, search),
    ),
  ]
  return found + _of_losses_in(analysis, search, of)


def _of_stopped(search) -> str:
  """What settings that were stopped early are in these figures."""
  if not (count := sum(search.stopped.values())):
    return ""
  return (
    f" {count} settings were stopped early by successive halving: they count by their values then, "
    "at fewer steps, and are never the best of k beside one that went further. A budget of k "
    "settings is k times the mean of the steps that were spent on one, in runs of full length."
  )


def _of_losses_in(analysis, search, of) -> list[Drawing]:
  """Comparisons of losses over their draws; ranks need draws that all losses have."""
  if len(search.values) < 2:
    return []
  found = [
    Drawing(
      "search_improvement",
      "Probability of improvement",
      "How often a random setting of the loss of the row beats one of the loss of the column, ties "
      f"counting half; below, where there is room, its 95 % bootstrap interval over settings. {of}",
      functools.partial(search_figures.improvement, search),
    )
  ]
  if (draws := len(search.paired())) >= statistics.LEAST_SEEDS:
    found.append(
      Drawing(
        "search_ranks",
        "Mean rank over the search",
        f"Losses are ranked at each of the {draws} draws that all have, equal values sharing their "
        f"mean rank. Bars: 95 % bootstrap intervals over draws. {of}",
        functools.partial(search_figures.mean_ranks, analysis, search),
      )
    )
  return found


def _of_training(analysis) -> list[Drawing]:
  lines = "Lines: mean over seeds of training records; bands: from the lowest seed to the highest."
  found = [
    Drawing(
      "probabilities",
      "What the discriminator makes of both sides",
      f"Mean of the sigmoid of the logits, D(x) on data (solid) and D(G(z)) on fakes (dashed), on "
      "training batches. It is a probability for losses trained by cross-entropy only; for others "
      f"it tells on which side of 0 the logits are. {lines}",
      functools.partial(training_figures.probabilities, analysis),
    ),
    Drawing(
      "discriminator_loss",
      "The discriminator's loss",
      "Its scale differs between losses. Dotted, where the loss has one: the value at which D "
      "cannot tell the sides apart, 2 log 2 = 1.386 for the two terms of cross-entropy at D = 1/2 "
      f"and log 2 = 0.693 for relativistic losses at equal logits. {lines}",
      functools.partial(training_figures.discriminator_loss, analysis),
    ),
    Drawing(
      "gradient_norms",
      "Gradient norm of the generator",
      "Euclidean norm of the whole gradient, logarithmic: a generator whose gradient vanishes goes "
      f"down here. {lines.replace('mean', 'geometric mean')}",
      functools.partial(training_figures.gradient_norms, analysis),
    ),
  ]
  recorded = {name for m in analysis.study.runs for record in m.metrics for name in record}
  needed = ("real_probability", "discriminator_loss", "generator_gradient_norm")
  found = [drawing for drawing, name in zip(found, needed, strict=True) if name in recorded]
  if recorded & {*training_figures.STRENGTHS}:
    found.append(_of_strengths(analysis, lines))
  return found + _of_samples(analysis)


def _of_strengths(analysis, lines: str) -> Drawing:
  return Drawing(
    "strengths",
    "Strength of the augmentation",
    "p of ADA or of APA, which rises as the discriminator learns its data by heart: 0 is no "
    f"augmentation. {lines}",
    functools.partial(training_figures.strengths, analysis),
  )


def _of_samples(analysis) -> list[Drawing]:
  pictures = sample_figures.last_pictures(analysis)
  if not pictures:
    return []
  missing = sorted(set(analysis.study.losses) - {picture.loss for picture in pictures})
  missing = f" There is none of {', '.join(missing)}." if missing else ""
  return [
    Drawing(
      "samples",
      "Samples from the same latents",
      f"The last pictures of seed {pictures[0].seed}. The latents follow from the seed, so equal "
      f"places show what each loss makes of the same latent.{missing}",
      functools.partial(sample_figures.samples, pictures),
    )
  ]


def _of_settings(analysis) -> list[Drawing]:
  if analysis.metric is None or _in_matrix_only(analysis):
    return []
  text = (
    "Points: last values of single runs, over all values of the other hyper-parameters; crosses: "
    "runs that diverged. Lines and bars: medians of runs that did not. Where values are numbers, "
    "runs without one are left out."
  )
  return [
    Drawing(
      f"sensitivity_{field}",
      f"Sensitivity to {field}",
      text,
      functools.partial(metric_figures.sensitivity, analysis, field),
    )
    for field in analysis.study.varied
  ]


def _sample_counts(analysis) -> str:
  counts = {
    (record.get("eval_samples"), record.get("reference_samples"))
    for run in analysis.study.runs
    for record in run.evaluations
  }
  said = [
    f"An evaluation has {samples} generated and {reference} reference samples."
    for samples, reference in sorted(counts, key=str)
  ]
  return " ".join(said)


def _real_data(real) -> list[str]:
  """On the dashed line of held-out data."""
  return [f"Dashed, {metric_figures.REAL}: {_in_place(real)}."] if real else []


def _in_place(real) -> str:
  """How many held-out examples were measured; of fewer than the samples a metric may be another."""
  count, samples = real.get("held_out_samples"), real.get("eval_samples")
  fewer = f", fewer than the {samples} samples, which by itself moves a metric" * (count != samples)
  return f"{count} of the test split in the place of samples{fewer}"
