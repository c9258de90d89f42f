"""The last pictures of every loss, from the same latents."""

import math
import pathlib
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from gan.errors import UserError
from gan.report import plots
from gan.report.analysis import Analysis
from gan.report.plots import Size
from gan.report.study import StudyRun
from gan.system import files


class Picture(NamedTuple):
  """The last picture of a run."""

  loss: str
  seed: int
  step: int
  path: pathlib.Path


def last_pictures(analysis: Analysis) -> list[Picture]:
  """Returns a picture of each loss, all of the seed that most losses have, the lowest such.

  They are of one step where all have one, else each loss's last.
  """
  return [picture for picture in _chosen(analysis) if not _damage(picture.path)]


def notes(analysis: Analysis) -> list[str]:
  """Returns a line on each picture that would be shown and cannot be read."""
  damage = (_damage(picture.path) for picture in _chosen(analysis))
  return [f"A picture is left out: {reason}." for reason in damage if reason]


def _chosen(analysis) -> list[Picture]:
  of_seed = {}
  for loss in analysis.study.losses:
    for run in analysis.runs(loss):
      if pictures := _pictures(run):
        of_seed.setdefault(run.seed, {})[loss] = pictures
  if not of_seed:
    return []
  seed = min(of_seed, key=lambda seed: (-len(of_seed[seed]), seed))
  shared = set.intersection(*(set(pictures) for pictures in of_seed[seed].values()))
  return [
    Picture(loss, seed, step, pictures[step])
    for loss, pictures in of_seed[seed].items()
    for step in [max(shared or pictures)]
  ]


def _pictures(run: StudyRun) -> dict[int, pathlib.Path]:
  """{step: path} of the pictures up to a divergence."""
  paths = {
    path.stem.removeprefix("step_"): path for path in (run.folder / "samples").glob("step_*.png")
  }
  end = math.inf if run.diverged_at is None else run.diverged_at
  return {int(step): path for step, path in paths.items() if step.isdecimal() and int(step) < end}


def _damage(path) -> str:
  """Why the picture cannot be read; "" where it can."""
  try:
    with files.image(path) as picture:
      picture.load()
    return ""
  except UserError as error:
    return str(error)


def samples(pictures: list[Picture], size: Size) -> Figure:
  """Returns the pictures side by side."""
  figure, panels = plots.panels([picture.loss for picture in pictures], size, 2.4)
  for picture in pictures:
    axes = panels[picture.loss]
    with files.image(picture.path) as image:
      axes.imshow(np.asarray(image.convert("RGB")))
    axes.set_title(f"{picture.loss}, step {picture.step}")
    axes.set_axis_off()
  return figure
