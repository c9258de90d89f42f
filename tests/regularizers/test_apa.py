"""APA: at 0 the bits of none, at 1 all samples with their labels, none beside itself."""

import jax
import jax.numpy as jnp
import numpy as np
import toys

from gan.method.game import Batch, Examples
from gan.method.updates import discriminator_update
from gan.regularizers import Regularizer, make_apa


def shares(view, state):
  """How much of the data that D's objective sees is generated, and is the sample beside it."""
  return jnp.zeros(()), {
    "seen_share": jnp.mean(view.labels < 3),
    "seen_beside": jnp.mean(jnp.all(view.real == view.fake, axis=1)),
  }


SEEN = Regularizer(discriminator=shares, default_weight=None)


def after(made, strength=0.0, axis_name=(), count=8):
  game = toys.make_game(
    toys.tanh_gan(),
    penalty="r1",
    num_classes=3,
    fake_labels="uniform",
    regularizers={"seen": SEEN} | made,
    axis_name=axis_name,
  )
  state = toys.start(game, penalty_weight=0.5)
  if made:
    kept = state.aux_state["apa"] | {"strength": jnp.float32(strength)}
    state = state.replace(aux_state=state.aux_state | {"apa": kept})
  points = jax.random.normal(jax.random.key(5), (1, count, 2))
  batch = Batch(points, jnp.full((1, count), 7))  # no sample has such a label
  step = jax.jit(toys.over_two_devices(game.step) if axis_name else game.step)
  return step(state, batch, toys.key(2))


def test_at_probability_0_the_bits_are_those_without_it_and_at_1_data_are_samples():
  (none, plain), (state, metrics) = after({}), after({"apa": make_apa()})
  assert metrics.pop("apa_strength") == 0 and -1 <= metrics.pop("apa_sign") <= 1
  assert metrics == plain and plain["seen_share"] == plain["seen_beside"] == 0
  for player in ("generator", "discriminator"):
    jax.tree.map(np.testing.assert_array_equal, getattr(state, player), getattr(none, player))
  _, metrics = after({"apa": make_apa()}, strength=1.0)
  assert metrics["seen_share"] == metrics["apa_strength"] == 1 and metrics["seen_beside"] == 0
  assert metrics["fake_logit"] == plain["fake_logit"]
  assert metrics["real_logit"] not in (metrics["fake_logit"], plain["real_logit"])
  assert metrics["penalty"] != plain["penalty"]  # R1 is of what stands for data


def test_between_them_an_example_is_exchanged_by_its_place_on_any_number_of_devices():
  one, two = (
    after({"apa": make_apa()}, 0.5, axis_name, count=64)[1] for axis_name in ((), "batch")
  )
  assert 0.25 < one["seen_share"] < 0.75 and one["seen_beside"] == 0
  for name in ("seen_share", "discriminator_loss", "penalty", "generator_loss", "apa_sign"):
    np.testing.assert_allclose(two[name], one[name], rtol=1e-5)


def test_a_paired_loss_learns_from_samples_in_the_place_of_all_data():
  every = Regularizer(
    exchange=lambda keys, hyper, state: jnp.ones(len(keys), bool),
  )
  game = toys.make_game(toys.tanh_gan(), loss="rsgan", regularizers={"every": every})
  data = Examples(jnp.full((6, 2), jnp.nan), None)  # none of it is shown
  update = discriminator_update(game, toys.start(game), data, toys.key(3))
  steepest = max(float(jnp.abs(each).max()) for each in jax.tree.leaves(update.grads))
  assert 1e-3 < steepest < jnp.inf
