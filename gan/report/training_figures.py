"""Figures of the players: what D makes of data and samples, its loss, the gradient of G."""

import math

from matplotlib.figure import Figure

from gan.report import plots, series
from gan.report.analysis import Analysis
from gan.report.plots import Size

STEPS = "generator steps"
STRENGTHS = ("ada_strength", "apa_strength")  # set by a regulariser; a run has one at most
# The discriminator's loss where it cannot tell the sides apart, D = 1/2 or equal logits, as a
# multiple of log 2. Cross-entropy has two terms, the relativistic losses one or the mean of two.
EQUILIBRIUM = {"sat": 2, "nonsat": 2, "ml": 2, "rsgan": 1, "ragan": 1}


def probabilities(analysis: Analysis, size: Size) -> Figure:
  """Returns mean D(x) and D(G(z)), a panel for each loss."""
  figure, panels = plots.panels(analysis.study.losses, size)
  for loss, axes in panels.items():
    axes.axhline(0.5, color=plots.INK, linewidth=0.8, linestyle=":")
    for name, style in (("real_probability", "-"), ("fake_probability", "--")):
      _draw_training(axes, analysis, loss, name, linestyle=style)
    axes.set_ylim(-0.03, 1.03)
    plots.count_axis(axes)
  plots.label(figure, STEPS, "D(x) solid, D(G(z)) dashed")
  return figure


def held_out(analysis: Analysis, number: str, size: Size) -> Figure:
  """Returns D on training data, held-out data and samples, a panel of its own scale for each loss.

  Args:
    analysis: of runs with held-out data.
    number: what the names of the records begin with; that of samples may be missing.
    size: of the figure.
  """
  figure, panels = plots.panels(analysis.study.losses, size, sharey=False)
  for loss, axes in panels.items():
    color = plots.colours(analysis.palette)[loss].color
    for kind, style in (("train", "-"), ("held_out", "--"), ("samples", ":")):
      for curve in series.evaluated(analysis.runs(loss), f"{number}_{kind}", "step"):
        axes.plot(curve.x, curve.y, color=color, linestyle=style)
        axes.fill_between(curve.x, curve.low, curve.high, color=color, alpha=0.18, linewidth=0)
    plots.count_axis(axes)
  plots.label(figure, STEPS, number.removeprefix("discriminator_"))
  return figure


def _draw_training(axes, analysis, loss, name, logarithmic=False, **style):
  curve = series.trained(analysis.runs(loss), name, logarithmic)
  if curve:
    color = plots.colours(analysis.palette)[loss].color
    axes.plot(curve.x, curve.y, color=color, **style)
    axes.fill_between(curve.x, curve.low, curve.high, color=color, alpha=0.18, linewidth=0)


def discriminator_loss(analysis: Analysis, size: Size) -> Figure:
  """Returns the discriminator's loss, a panel of its own scale for each loss."""
  figure, panels = plots.panels(analysis.study.losses, size, sharey=False)
  for loss, axes in panels.items():
    _draw_training(axes, analysis, loss, "discriminator_loss")
    multiple = _equilibrium(analysis, loss)
    if multiple:
      name = "2 log 2" if multiple == 2 else "log 2"
      axes.axhline(multiple * math.log(2), color=plots.INK, linewidth=0.8, linestyle=":")
      axes.set_title(f"{loss} (dotted: {name})")
    plots.count_axis(axes)
  plots.label(figure, STEPS, "loss of D")
  return figure


def _equilibrium(analysis, loss):
  """None too where labels are smoothed, which moves the value."""
  smoothed = any(m.record["config"].get("real_label", 1) != 1 for m in analysis.runs(loss))
  return None if smoothed else EQUILIBRIUM.get(loss)


def gradient_norms(analysis: Analysis, size: Size) -> Figure:
  """Returns the norm of the generator's gradient, logarithmic."""

  name, losses = "generator_gradient_norm", analysis.study.losses
  found = {loss: series.trained(analysis.runs(loss), name, logarithmic=True) for loss in losses}

  def draw(axes, loss, faint):
    if found[loss]:
      plots.draw_curves(axes, loss, plots.colours(analysis.palette)[loss], [found[loss]], faint)

  figure = plots.shared_or_panels(losses, size, draw)
  plots.finish(figure, STEPS, "gradient norm of G", always_logarithmic=True)
  return figure


def strengths(analysis: Analysis, size: Size) -> Figure:
  """Returns the strength p that a controller gives the augmentation, of ADA or of APA."""
  losses = analysis.study.losses

  def draw(axes, loss, faint):
    found = [series.trained(analysis.runs(loss), name) for name in STRENGTHS]
    curves = [curve for curve in found if curve]
    plots.draw_curves(axes, loss, plots.colours(analysis.palette)[loss], curves, faint)

  figure = plots.shared_or_panels(losses, size, draw)
  plots.finish(figure, STEPS, "strength p of the augmentation")
  return figure
