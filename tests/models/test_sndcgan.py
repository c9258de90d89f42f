"""SNDCGAN: counts of the source, shapes, refusals."""

import jax
import jax.numpy as jnp
import pytest

import gan
from gan.models import ModelSpec, build

KEY = jax.random.key(0)


def counts(size=32, colours=3, *, width=None, norm=None, **options):
  given = ModelSpec((size, size, colours), 128, width=width, discriminator_norm=norm)
  players = build("sndcgan", given, **options)
  shapes = (
    jax.eval_shape(each.init, KEY)[0] for each in (players.generator, players.discriminator)
  )
  return tuple(sum(leaf.size for leaf in jax.tree.leaves(tree)) for tree in shapes)


def test_parameters_are_as_many_as_in_the_source():
  assert counts() == (3_828_739, 5_860_865)
  assert counts(flat_norm=False) == (3_813_379, 5_860_865)


def test_width_narrows_all_layers():
  quarter = counts(width=16)
  assert all(few < many / 7 for few, many in zip(quarter, counts(), strict=True))


def test_norms_of_activations_have_a_scale_and_a_bias_a_channel():
  added = counts(norm="batch")[1] - counts(norm="none")[1]
  assert added == 2 * (128 + 128 + 256 + 256 + 512 + 512)


@pytest.mark.parametrize("num_classes", [0, 3])
def test_shapes(num_classes):
  players = build("sndcgan", ModelSpec((24, 24, 1), 6, num_classes, width=4))
  labels = jnp.zeros((2,), jnp.int32) if num_classes else None

  def play(key):
    params, state = players.generator.init(key)
    fake, _ = players.generator.apply(params, state, jnp.zeros((2, 6)), labels, train=False)
    params, state = players.discriminator.init(key)
    return fake, players.discriminator.apply(params, state, fake, labels, train=False)[0]

  fake, logits = jax.eval_shape(play, KEY)
  assert (fake.shape, logits.shape) == ((2, 24, 24, 1), (2,))


def test_a_side_that_is_no_multiple_of_eight_is_refused():
  with pytest.raises(gan.UserError, match="cannot make images of 28x28: the side must be divisib"):
    build("sndcgan", ModelSpec((28, 28, 1)))
