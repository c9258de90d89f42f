"""A search in rounds: one sample of each loss at a time, at points that follow from values."""

import math
import pathlib
from collections.abc import Callable
from typing import NamedTuple

from gan.sweeps import study, tpe
from gan.sweeps.contestants import choices_of
from gan.sweeps.search import Point, Trial, make_trials, read_part
from gan.sweeps.spaces import Space
from gan.training.config import Config
from gan.training.run_folder import RUNS_FOLDER

Train = Callable[[list[Trial]], dict[str, str]]


class Request(NamedTuple):
  """What is searched.

  Attributes:
    losses: as in `make_trials`.
    samples: of each.
    space: where they lie; the first are the values as they stand.
    make_config: `fields -> Config` with these values.
    metric: by which settings are chosen; None for the first that is evaluated.
    seed: of the draws, and of every run.
  """

  losses: list[str]
  samples: int
  space: Space
  make_config: Callable[[Point], Config]
  metric: str | None
  seed: int

  def trials(self, points: dict[str, list[Point]]) -> list[Trial]:
    """Returns a run for each point of each loss; points that are equal are run once."""
    seeds, make = [self.seed], self.make_config
    found = (make_trials([loss], seeds, own, make, searched=True) for loss, own in points.items())
    return [trial for trials in found for trial in trials]

  def trial(self, trials: list[Trial], loss: str, point: Point) -> Trial:
    """Returns the run of a point of a loss: its own, or that of an equal point before it."""
    own = read_part(loss, point, self.make_config)
    config = self.make_config({**choices_of(loss), "seed": self.seed, **own})
    return next(trial for trial in trials if trial.label == loss and trial.config == config)


def search(folder: pathlib.Path, request: Request, train: Train) -> dict[str, str]:
  """Trains all samples of a search, round by round, from where it stands.

  Args:
    folder: of the sweep that the search is; it grows in place.
    request: what is searched.
    train: trains runs in the folder and returns their statuses, as a launcher does.

  Returns:
    The status of each run; where one is not at its end, no further ones were asked for.

  Raises:
    UserError: see `metric_of` and `tpe.opened`.
  """
  statuses = {}
  if not (folder / tpe.FILE).exists():
    # The first samples ask nobody, and tell which metrics there are.
    statuses = train(request.trials({loss: [{}] for loss in request.losses}))
  if not _at_end(statuses):
    return statuses
  metric = study.metric_of(folder, request.metric)
  asking = request.losses, request.space, request.make_config, metric, request.seed
  with tpe.opened(folder, *asking) as searches:
    for sample in range(request.samples):
      waiting = [loss for loss in request.losses if searches.waits(loss, sample)]
      if waiting or sample == request.samples - 1:  # the last also checks what is there
        statuses = _round(folder, request, train, searches, sample, metric)
      if not _at_end(statuses):
        break
  return statuses


def _round(folder, request, train, searches, sample, metric) -> dict[str, str]:
  for loss in request.losses:
    searches.ask(loss, sample)
  points = {loss: searches.points(loss) for loss in request.losses}
  trials = request.trials(points)
  statuses = train(trials)
  for loss in request.losses if _at_end(statuses) else ():
    run = request.trial(trials, loss, points[loss][sample])
    found = study.last_value(folder / RUNS_FOLDER / run.name, metric)
    searches.tell(loss, sample, found[1] if found else math.nan)
  return statuses


def _at_end(statuses: dict[str, str]) -> bool:
  return all(status.startswith(("finished", "diverged")) for status in statuses.values())
