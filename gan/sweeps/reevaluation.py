"""The best runs of a search, measured again by other samples: what picking them had of luck.

The best of several noisy values is too good for two reasons: the samples that it was measured by,
and the seed that the run was trained by. Other samples of the same run take away the first.
"""

import pathlib
from collections.abc import Sequence

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
  for each in best:
    for name in each.runs:
      stop_here()
      _reevaluate(search / RUNS_FOLDER / name, each.step, dataset)


def _reevaluate(folder: pathlib.Path, step: int, dataset: Dataset) -> None:
  seed = restore.recorded_config(folder).seed ^ BEYOND
  there = read_reevaluation(folder)
  if there and (there["step"], there["eval_seed"]) == (step, seed):
    return
  run = restore.find(folder, step=step)
  named = measuring.recorded(read_config(folder), str(folder))
  evaluator = make_evaluators(run.config, dataset, lambda line: None, named)(seed)
  values = {name: plain(value) for name, value in _measured(run, dataset, evaluator, seed).items()}
  write_json(folder / REEVALUATION, {"step": step, **values})


def _measured(
  run: restore.LoadedRun, dataset: Dataset, evaluator: Evaluator, seed: int
) -> dict[str, object]:
  count, rng = run.config.eval_samples, np.random.default_rng(seed)
  labels = rng.choice(dataset.labels, count) if run.config.conditional else None
  return evaluator(sampling.samples(run.gan, run.state, jax.random.key(seed), count, labels))
