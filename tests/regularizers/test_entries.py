"""What entries of REGULARIZERS say of the regularisers that they make."""

import pytest

from gan.method.game import GAME_METRICS, STEP_METRICS
from gan.regularizers import REGULARIZERS, Entry, Regularizer


@pytest.mark.parametrize("name", REGULARIZERS)
def test_an_entry_says_what_its_regularizer_needs_however_it_was_made(name):
  entry = REGULARIZERS[name]
  assert entry.make.__wrapped__().needs == entry.needs


def test_a_regularizer_has_the_needs_of_its_entry_and_its_own():
  own = Regularizer(needs=("features",))
  assert Entry(lambda: own, 1.0, "", "").make().needs == ("features",)
  both = Entry(lambda: own, 1.0, "", "", needs=("class_logits", "features")).make()
  assert both.needs == ("class_logits", "features")
  assert Entry(Regularizer, 1.0, "", "", needs=("class_logits",)).make().needs == ("class_logits",)


@pytest.mark.parametrize("name", REGULARIZERS)
def test_the_table_of_metrics_has_those_of_a_regularizer_under_its_name(name):
  metrics = REGULARIZERS[name].metrics
  assert metrics and all(each.startswith(name) for each in metrics)
  assert metrics.items() <= STEP_METRICS.items() and not metrics.keys() & GAME_METRICS.keys()
