"""The best runs of a search, measured again by other samples: what picking them had of luck.

The best of several noisy values is too good for two reasons: the samples that it was measured by,
and the seed that the run was trained by. Other samples of the same run take away the first.
"""

import pathlib
from collections.abc import Callable, Sequence

import jax
import numpy as np

from gan.datasets import Dataset
from gan.metrics.evaluator import Evaluator
from gan.sweeps.study import REEVALUATION, Best, read_reevaluation
from gan.system.draws import BEYOND
from gan.training import measuring, restore, sampling
from gan.training.interrupts import stop_here
from gan.training.run_folder import RUNS_FOLDER, plain, read_config, write_json
from gan.training.setting import make_evaluators


def reevaluate(best: Sequence[Best], search: pathlib.Path, dataset: Dataset) -> None:
  """Writes reevaluation.json into the folder of each run that was chosen, where it is not there.

  A run is measured as it measured itself, but for the seed of the latents, of the classes and of
  the choice of the reference, which no run of the study has.

  Args:
    best: of each loss that has one.
    search: the folder of the search.
    dataset: what its runs are trained on.

  Raises:
    UserError: a checkpoint or an extractor is gone.
  """
  chosen = [(search / RUNS_FOLDER / name, each.step) for each in best for name in each.runs]
  waiting = [(folder, step) for folder, step in chosen if not _is_there(folder, step)]
  if not waiting:
    return
  evaluators = _evaluators(waiting[0][0], dataset)
  for folder, step in waiting:
    stop_here()
    run, seed = restore.find(folder, step=step), _seed(folder)
    values = _measured(run, dataset, evaluators(seed), seed)
    plain_values = {name: plain(value) for name, value in values.items()}
    write_json(folder / REEVALUATION, {"step": step, **plain_values})


def _seed(folder: pathlib.Path) -> int:
  return restore.recorded_config(folder).seed ^ BEYOND


def _is_there(folder: pathlib.Path, step: int) -> bool:
  there = read_reevaluation(folder)
  return bool(there) and (there["step"], there["eval_seed"]) == (step, _seed(folder))


def _evaluators(folder: pathlib.Path, dataset: Dataset) -> Callable[[int], Evaluator | None]:
  """Those of a run; all runs of a search measure themselves alike."""
  named = measuring.recorded(read_config(folder), str(folder))
  return make_evaluators(restore.recorded_config(folder), dataset, lambda line: None, named)


def _measured(
  run: restore.LoadedRun, dataset: Dataset, evaluator: Evaluator, seed: int
) -> dict[str, object]:
  count, rng = run.config.eval_samples, np.random.default_rng(seed)
  labels = rng.choice(dataset.labels, count) if run.config.conditional else None
  return evaluator(sampling.samples(run.gan, run.state, jax.random.key(seed), count, labels))
