"""Which examples a step sees."""

import numpy as np
import pytest

from gan.datasets.batches import batch_indices


def stream(seed, num_examples, calls, updates, batch_size):
  """The examples in the order in which calls of these numbers of steps see them."""
  step, parts = 0, []
  for steps in calls:
    indices = batch_indices(seed, num_examples, step, steps, updates, batch_size)
    assert indices.shape == (steps, updates, batch_size) and indices.dtype == np.int32
    parts.append(indices.ravel())
    step += steps
  return np.concatenate(parts)


@pytest.mark.parametrize(
  ("num_examples", "updates", "batch_size", "steps"),
  [
    (12, 1, 4, 9),  # whole batches: three epochs
    (10, 1, 4, 15),  # batches cross from one epoch into the next: six epochs
    (10, 3, 2, 10),  # several updates a step: six epochs
    (5, 1, 12, 5),  # a batch holds more than two epochs: twelve epochs
  ],
)
def test_every_example_is_seen_once_an_epoch(num_examples, updates, batch_size, steps):
  seen = stream(3, num_examples, [steps], updates, batch_size)
  epochs = seen.reshape(-1, num_examples)  # the numbers above give whole epochs
  np.testing.assert_array_equal(
    np.sort(epochs, axis=1), np.tile(np.arange(num_examples), (len(epochs), 1))
  )


def test_epochs_are_in_different_orders():
  first, second = stream(0, 100, [2], 1, 100).reshape(2, 100)
  assert np.sum(first == second) < 20  # about one in a hundred by chance
  assert np.sum(first == np.arange(100)) < 20


@pytest.mark.parametrize("calls", [[7], [1] * 7, [3, 4], [2, 2, 3]])
def test_examples_do_not_depend_on_how_many_steps_a_call_has(calls):
  np.testing.assert_array_equal(stream(5, 10, calls, 2, 3), stream(5, 10, [7], 2, 3))


def test_examples_are_a_function_of_seed_and_step():
  one = batch_indices(0, 50, 1234, 2, 2, 8)
  batch_indices(1, 50, 7, 1, 1, 3)  # what was asked in between changes nothing
  np.testing.assert_array_equal(batch_indices(0, 50, 1234, 2, 2, 8), one)
  assert np.any(batch_indices(1, 50, 1234, 2, 2, 8) != one)
  assert np.any(batch_indices(0, 50, 1235, 2, 2, 8) != one)


def test_a_step_deep_in_the_run_stands_where_counting_puts_it():
  # Step 1000 of 3 x 7 examples begins at place 21000 = epoch 2100, example 0 of 10.
  indices = batch_indices(0, 10, 1000, 1, 3, 7).ravel()
  np.testing.assert_array_equal(np.sort(indices[:10]), np.arange(10))
  np.testing.assert_array_equal(np.sort(indices[10:20]), np.arange(10))


def test_one_example_is_every_example():
  np.testing.assert_array_equal(batch_indices(0, 1, 3, 2, 1, 4), np.zeros((2, 1, 4)))
