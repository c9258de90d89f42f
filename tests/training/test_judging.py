"""What a discriminator makes of data and samples: closed forms, labels, packed rows, batches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan.datasets import Dataset
from gan.errors import UserError
from gan.losses import LOSSES
from gan.networks import Gan, Network
from gan.state import GanState, Hyperparameters, PlayerState
from gan.training import judging, sampling


def network(function):
  """`(params, inputs, labels) -> outputs`, without state; fails in training mode."""

  def apply(params, model_state, inputs, labels, *, train, key=None):
    assert not train and key is None
    return function(params, inputs, labels), model_state

  return Network(lambda key: (jnp.ones(()), {}), apply)


def player(value):
  return PlayerState(jnp.float32(value), {}, None)


STATE = GanState(
  step=jnp.int32(0),
  hyperparameters=Hyperparameters(),
  generator=player(7),
  discriminator=player(2),
  ema_params=jnp.float32(3),
  ema_model_state={},
)
# Samples are 3 z, and the discriminator's logit is twice the first coordinate.
GENERATOR = network(lambda params, latents, labels: params * latents)
FIRST = network(lambda params, points, labels: params * points[:, 0])


def latent(key):
  return jax.random.normal(key, (2,))


POINTS = Gan(GENERATOR, FIRST, latent, (-1.0, 1.0))


def points(values, labels=None):
  rows = np.stack([values, np.zeros(len(values))], axis=1).astype(np.float32)
  return Dataset("points", rows, labels, 0 if labels is None else 2, "made here")


TRAIN, HELD_OUT = points([1.0] * 9 + [-1.0]), points([1.0] * 6 + [-1.0] * 4)


def judged(loss, gan=POINTS, train=TRAIN, held_out=HELD_OUT, labels=None):
  rows, counts = judging.judge(gan, STATE, LOSSES[loss], train, held_out, labels, 0)
  assert set(counts) == {"samples", "reference_samples", "held_out_samples"}
  return rows


def test_accuracies_are_the_shares_of_both_with_the_samples_of_the_averaged_generator():
  samples = sampling.samples(POINTS, STATE, jax.random.key(0), 2000, None)
  share = np.mean(samples[:, 0] < 0)
  found = judged("hinge")
  assert list(found) == ["discriminator_accuracy_held_out", "discriminator_accuracy_train"]
  held_out, train = found.values()
  assert held_out.value == pytest.approx((0.6 + share) / 2, rel=1e-12)
  assert train.value == pytest.approx((0.9 + share) / 2, rel=1e-12)
  assert 0 < held_out.low < held_out.value < held_out.high < 1
  assert held_out.better is None is held_out.held_out_reference


def test_a_critic_has_differences_of_logits():
  samples = sampling.samples(POINTS, STATE, jax.random.key(0), 2000, None)
  found = judged("wgan")
  assert list(found) == ["discriminator_difference_held_out", "discriminator_difference_train"]
  held_out, train = found.values()
  assert held_out.value == pytest.approx(2 * (0.2 - samples[:, 0].mean()), rel=1e-5)
  assert train.value - held_out.value == pytest.approx(2 * (0.8 - 0.2), rel=1e-5)
  # Deviations of 2 x on data, +-2 about 0.4, and of 6 z on samples.
  error = np.sqrt((4 - 0.16) / 10 + 36 * (samples[:, 0] / 3).var() / 2000)
  assert held_out.high - held_out.value == pytest.approx(1.959964 * error, rel=1e-4)


def test_players_are_given_the_labels_of_their_examples():
  # The discriminator is right where the label is 1: of half of the data, and of no sample.
  by_label = network(lambda params, points, labels: labels - 0.5 + 0.0 * points[:, 0])
  gan = POINTS._replace(discriminator=by_label)
  data = points([0.0] * 8, np.tile(np.array([0, 1], np.int32), 4))
  found = judged("hinge", gan, data, data, np.ones(700, np.int32))
  assert [row.value for row in found.values()] == [0.25, 0.25]


def test_images_are_brought_to_the_range_of_the_players():
  # Black images are -1 and white ones 1, of which the discriminator sees the mean.
  mean = network(lambda params, images, labels: images.mean((1, 2, 3)))
  grey = network(lambda params, latents, labels: jnp.full((len(latents), 4, 4, 1), -0.25))
  images = np.repeat(np.array([0, 255, 255, 255], np.uint8), 16).reshape(4, 4, 4, 1)
  data = Dataset("images", images, None, 0, "made here")
  found = judged("wgan", Gan(grey, mean, latent, (-1.0, 1.0)), data, data)
  assert found["discriminator_difference_train"].value == pytest.approx(0.5 + 0.25, rel=1e-6)


def test_packed_rows_are_whole_and_the_rest_is_left_out():
  # Of three points in a row the discriminator sees all six numbers, and says how many rows it has.
  seen = []

  def triple(params, rows, labels):
    seen.append(rows.shape)
    return rows.sum(axis=1)

  gan = POINTS._replace(discriminator=network(triple), packing=3)
  data = points([1.0] * 10)
  found = judged("wgan", gan, data, data)
  assert set(seen) == {(166, 6)}
  held_out, train = found.values()
  assert held_out.value == train.value  # three rows of the sum 3 each
  with pytest.raises(UserError, match="judges 3 examples at once, and there are 2"):
    judged("wgan", gan, data, points([1.0] * 2))


def test_batches_are_of_one_size_and_every_example_counts_once():
  for count in (1, 499, 500, 501, 1300):
    parts = list(judging._batches(count, POINTS))
    assert {len(numbers) for numbers, _ in parts} == {500}
    used = np.concatenate([numbers[:new] for numbers, new in parts])
    np.testing.assert_array_equal(used, np.arange(count))
