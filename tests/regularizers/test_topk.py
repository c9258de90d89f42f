"""Top-k: weights by hand, its schedule, all samples and the best alone, what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

from gan.errors import UserError
from gan.losses import LOSSES
from gan.method.acting import of_each_sample
from gan.method.game import Batch, Examples
from gan.method.updates import generator_update
from gan.regularizers import View, make_topk, top_k_weights
from gan.training.config import Config
from gan.training.validation import validate


def test_the_k_largest_logits_share_the_batch_among_them():
  logits = jnp.array([0.5, 3.0, -1.0, 3.0, 0.5])
  for share, weights in {
    1.0: [1, 1, 1, 1, 1],
    0.6: [5 / 3, 5 / 3, 0, 5 / 3, 0],  # of equal ones the first
    0.4: [0, 2.5, 0, 2.5, 0],
    0.01: [0, 5, 0, 0, 0],
  }.items():
    np.testing.assert_allclose(top_k_weights(logits, jnp.float32(share)), weights, rtol=1e-6)
  assert not jax.grad(lambda it: top_k_weights(it, jnp.float32(0.4)).max())(logits).any()


def updates(made, step=0, accumulate=1):
  """(kernel's gradient, metrics) of the generator of eight samples."""
  game = toys.make_game(toys.tanh_gan(), regularizers=made, accumulate=accumulate)
  state = toys.start(game).replace(step=jnp.int32(step))
  found = generator_update(game, state, Examples(jnp.ones((8, 2)), None), toys.key(5))
  return found.grads, found.metrics


def test_all_samples_are_the_loss_without_it_and_one_is_that_of_the_best():
  plain, without = updates({})
  every, metrics = updates({"topk": make_topk()})
  assert metrics.pop("topk_share") == 1 and metrics.keys() == without.keys()
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), every, plain)
  one = make_topk(topk_gamma=0.5, topk_nu=0.125, topk_every=10)
  for step, share in {9: 1, 10: 0.5, 29: 0.25, 30: 0.125, 500: 0.125}.items():
    assert one.generator(view_at(step), {})[1]["topk_share"] == share
  best, seen = updates({"topk": one}, step=30)
  # The same eight samples, each by its place as a batch of its own.
  game = toys.make_game(toys.tanh_gan())
  state = toys.start(game)
  one = jnp.ones((1, 2))
  update = jax.jit(lambda i: generator_update(game, state, Examples(one, None, i), toys.key(5)))
  alone = [update(jnp.array([i])) for i in range(8)]
  first = min(alone, key=lambda it: it.metrics["generator_loss"])  # softplus(-D) falls with D
  np.testing.assert_allclose(seen["generator_loss"], first.metrics["generator_loss"], rtol=1e-5)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), best, first.grads)


def view_at(step):
  return View(**{name: None for name in View._fields} | {"step": jnp.int32(step)})


def test_the_best_of_two_devices_are_the_best_of_the_batch():
  steps = []
  for axis_name in ((), "batch"):
    made = {"topk": make_topk(topk_gamma=0.5, topk_nu=0.25, topk_every=1)}
    game = toys.make_game(toys.tanh_gan(), regularizers=made, axis_name=axis_name)
    state = toys.start(game).replace(step=jnp.int32(2))
    step = toys.over_two_devices(game.step) if axis_name else game.step
    points = jax.random.normal(jax.random.key(0), (1, 8, 2))
    steps.append(jax.jit(step)(state, Batch(points, None), toys.key(1)))
  (one, metrics), (two, seen) = steps
  np.testing.assert_allclose(seen["generator_loss"], metrics["generator_loss"], rtol=1e-5)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), one.generator, two.generator
  )


def test_losses_that_compare_samples_are_refused_and_say_why():
  alone = {name for name, loss in LOSSES.items() if of_each_sample(loss)}
  compared = {"rsgan", "ragan", "ralsgan", "rahinge", "klwgan", "mcgan", "cramer", "mmd"}
  compared |= {name for name in LOSSES if name.startswith("rp_")}
  assert not alone & compared
  assert {"sat", "nonsat", "ml", "lsgan", "hinge", "wgan", "san_hinge", "ebgan"} <= alone
  assert {name for name in LOSSES if name.startswith("fgan_")} <= alone
  for refused in (
    lambda: toys.make_game(toys.tanh_gan(), loss="rsgan", regularizers={"topk": make_topk()}),
    lambda: validate(Config(model="points", loss="ragan", regularizers="topk")),
  ):
    with pytest.raises(UserError, match="topk weighs .* compares samples with data") as caught:
      refused()
    assert "\n" not in str(caught.value)


def test_a_zero_sum_loss_is_refused_where_the_generator_differentiates_through_updates():
  parts = {"regularizers": {"topk": make_topk()}, "update_rule": "unrolled"}
  fields = {"model": "points", "regularizers": "topk", "update_rule": "unrolled"}
  for refused in (
    lambda: toys.make_game(toys.tanh_gan(), loss="sat", **parts),
    lambda: validate(Config(**fields, loss="sat")),
  ):
    with pytest.raises(UserError, match="topk weighs .* zero-sum .* such as alternating") as caught:
      refused()
    assert "\n" not in str(caught.value)
  toys.make_game(toys.tanh_gan(), loss="nonsat", **parts)
  validate(Config(**fields, loss="nonsat"))


@pytest.mark.parametrize("option", [{"topk_gamma": 0.0}, {"topk_nu": 1.5}, {"topk_every": 0}])
def test_what_cannot_be_a_schedule_is_one_line(option):
  (name,) = option
  with pytest.raises(UserError, match=f"^`{name}=.* must be"):
    make_topk(**option)
