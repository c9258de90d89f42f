"""What a run measures its samples against."""

import numpy as np
import pytest

from gan import datasets
from gan.errors import UserError
from gan.metrics.evaluator import make_evaluator
from gan.training.config import Config
from gan.training.setting import make_evaluators

FEW = {"dataset": "digits", "split": "train[:20]", "eval_every": 1, "eval_samples": 60}


def evaluators(**fields):
  config = Config(**FEW | fields)
  return make_evaluators(config, datasets.load("digits", config.split), lambda line: None)


def test_a_run_on_few_data_can_be_measured_against_all_of_them():
  whole = datasets.load("digits", "train")
  measured = evaluators(reference_split="train")(0)(whole.images[100:160])
  expected = make_evaluator(whole, "train", 60, 0)[0](whole.images[100:160])
  assert measured == expected
  assert (measured["reference_samples"], measured["split"]) == (60, "train")
  own = evaluators()(0)(whole.images[100:160])
  assert (own["reference_samples"], own["split"]) == (20, "train[:20]")
  assert not np.isclose(own["frechet_distance"], measured["frechet_distance"])


def test_another_reference_is_refused_where_nothing_is_measured_or_there_is_none():
  with pytest.raises(UserError, match="unknown split 'all': .* train, test"):
    evaluators(reference_split="all")
