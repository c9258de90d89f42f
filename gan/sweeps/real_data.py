"""What real data that no run was trained on score in the place of samples, beside sweep.json.

Metrics of finitely many samples are not 0, or 1, for perfect ones: this is where a perfect
generator would stand.
"""

import os
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from gan import datasets
from gan.errors import UserError
from gan.metrics.evaluation import extract_features, held_out_references
from gan.metrics.evaluator import Evaluator, quick
from gan.sweeps.plan import Plan
from gan.system.progress import say
from gan.training import measuring
from gan.training.config import Config
from gan.training.run_folder import REAL_DATA, plain, write_json
from gan.training.setting import make_evaluators

HELD_OUT = "test"


def record(
  plan: Plan, workdir: str | os.PathLike, *, say: Callable[[str], None] = say
) -> dict[str, Any] | None:
  """Writes what held-out data score by the metrics of a sweep's runs, where that is not there yet.

  Nothing is changed of any run.

  Args:
    plan: of the sweep.
    workdir: its folder.
    say: prints one line to the user, where there are no held-out data.

  Returns:
    The record, of `measure`; None where it cannot be had, or is there already.
  """
  path = pathlib.Path(workdir) / REAL_DATA
  config = plan.trials[0].config
  if not config.eval_every or path.exists():
    return None
  try:
    found = measure(config, plan.dataset)
  except UserError as error:
    say(f"What real data score is not known: {error}")
    return None
  if found:
    write_json(path, {name: plain(value) for name, value in found.items()})
  return found


def measure(config: Config, dataset: datasets.Dataset) -> dict[str, Any] | None:
  """Returns what held-out data, or a perfect sampler, score as samples of a run are measured.

  The reference is that of the run. As many examples of the test split as it draws samples stand
  beside it, or all where there are fewer.

  Args:
    config: of the run.
    dataset: what it is trained on, of `datasets.load`.

  Returns:
    Values with the facts of an evaluation; None of a run that does not measure itself.

  Raises:
    UserError: there is no test split, or the run is of it, or a metric cannot be had.
  """
  if HELD_OUT in {(split or "").split("[")[0] for split in (config.split, config.reference_split)}:
    raise UserError("runs are trained on the test split, or measured against it")
  held_out = datasets.load(*dataset.asked._replace(split=HELD_OUT)).images
  named = measuring.read(config)
  evaluator = make_evaluators(config, dataset, lambda line: None, named)(config.seed)
  if evaluator is None:
    return None
  order = np.random.default_rng(config.seed).permutation(len(held_out))[: config.eval_samples]
  values = _values(evaluator, held_out[order], config.seed)
  return evaluator.facts | {"held_out_samples": len(order)} | values


def _values(evaluator: Evaluator, held_out: np.ndarray, seed: int) -> dict[str, float]:
  values = {}
  for space in evaluator.spaces:
    data = space.data._replace(held_out=extract_features(held_out, space.extractor))
    found = held_out_references(data, quick(space), evaluator.count, seed)
    values |= {space.number(name): value.value for name, value in found.items()}
  return values
