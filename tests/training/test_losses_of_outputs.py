"""Losses of more than logits, with every penalty, and what a config that names them cannot be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan.errors import UserError
from gan.losses import LOSSES, of_logits
from gan.method.acting import of_each_sample
from gan.method.game import Batch, Game
from gan.networks import Outputs, latent_sampler
from gan.penalties import PENALTIES, make_penalty
from gan.theory.games import network
from gan.training.build import DataInfo, build, game_parts
from gan.training.config import Config
from gan.training.validation import validate

OF_OUTPUTS = [name for name in LOSSES if name not in of_logits()]
OF_AUTOENCODERS = ("ebgan", "began")
INFO = DataInfo((8, 8, 1), 2, 64, np.full((8, 8, 1), 0.5, np.float32))
SMALL = {"width": 4, "latent_dim": 4, "batch_size": 4}


def config_of(loss, model, **options):
  if model not in ("dcgan", "resnet", "autoencoder"):
    options |= {"width": None}
  config = Config(**{**SMALL, "loss": loss, "model": model, **options})
  validate(config)
  return config


def stepped(config, info, images, steps=1):
  algorithm = build(config, info)
  batch = Batch(images[None], jnp.zeros((1, 4), jnp.int32) if config.conditional else None)
  state, step = algorithm.init(jax.random.key(0)), jax.jit(algorithm.step)
  for _ in range(steps):
    state, metrics = step(state, batch, jax.random.key(1))
  return state, metrics


def returned(scale, v):
  """All that a discriminator may return, of points."""
  features = jnp.tanh(scale * v)
  return Outputs(features[:, 0], None, features, jnp.ones(2) + scale, v - features)


@pytest.mark.parametrize("loss", OF_OUTPUTS)
def test_every_penalty_steps_with_a_loss_of_outputs(loss):
  players = {
    "generator": network(lambda key: jnp.ones(()), lambda theta, z: z + theta),
    "discriminator": network(lambda key: jnp.ones(()), returned),
  }
  for name in PENALTIES:
    penalty = make_penalty(name)
    game = Game(
      **players,
      loss=LOSSES[loss],
      sample_latent=latent_sampler("normal", 2),
      penalty=penalty,
    )
    state = jax.eval_shape(game.init, jax.random.key(0))
    after, metrics = jax.eval_shape(game.step, state, jnp.zeros((4, 2)), jax.random.key(1))
    assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, state)
    assert ("penalty" in metrics) == (penalty is not None)
    assert {each.shape for each in metrics.values()} == {()}


FITTING = [(loss, "autoencoder") for loss in OF_AUTOENCODERS]
FITTING += [
  (loss, model)
  for loss in OF_OUTPUTS
  if loss not in OF_AUTOENCODERS
  for model in ("mlp", "dcgan", "resnet")
]


@pytest.mark.slow
@pytest.mark.parametrize(("loss", "model"), FITTING)
def test_three_steps_are_finite_and_move_both_players(loss, model):
  images = jax.random.uniform(jax.random.key(5), (4, 8, 8, 1), minval=-1.0)
  state, metrics = stepped(config_of(loss, model, penalty="wgan_gp"), INFO, images, steps=3)
  assert all(np.isfinite(value) for value in metrics.values())
  assert metrics["generator_gradient_norm"] > 0 and metrics["discriminator_gradient_norm"] > 0
  assert int(state.step) == 3


REFUSED = {
  "no features": ({"loss": "mmd", "model": "r3gan"}, "needs features .* choose from mlp, dcgan"),
  "no direction": ({"loss": "san_hinge", "model": "stylegan2"}, "last_weight of the discriminator"),
  "no autoencoder": ({"loss": "began"}, "needs residual .* choose from autoencoder$"),
  "labels": (
    {"loss": "san_hinge", "conditional": True},
    "with labels each class has its own: leave out `conditional`, or take `conditioning=acgan`",
  ),
  "held-out data": (
    {"loss": "cramer", "heldout": "test", "eval_every": 5},
    "--heldout judges D by its logits, and --loss=cramer has none but of a whole batch",
  ),
  "another's option": ({"loss": "hinge", "options": "ebgan_margin=3"}, "it is for ebgan"),
  "logits of an error": (
    {"loss": "hinge", "model": "autoencoder"},
    "--loss=hinge reads logits, which are never above 0 there: give --loss as one of ebgan, began",
  ),
  "a margin": (
    {"loss": "ebgan", "model": "autoencoder", "options": "ebgan_margin=-1"},
    "`ebgan_margin=-1.0` must be above 0",
  ),
  "a ratio": (
    {"loss": "began", "model": "autoencoder", "options": "began_ratio=3"},
    "`began_ratio=3.0` must be between 0 and 1",
  ),
  "no pair": (
    {"loss": "mmd", "batch_size": 4, "accumulate": 2, "packing": 2},
    "--loss=mmd compares pairs of examples, and of --batch_size=4 D .*: use --batch_size=8",
  ),
  "no pair of samples": (
    {"loss": "cramer", "generator_batch_size": 1},
    "of --generator_batch_size=1 D .*: use --generator_batch_size=2",
  ),
  "a code": ({"loss": "mmd", "options": "code_dim=3"}, "it is for autoencoder"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_one_line(case):
  fields, words = REFUSED[case]
  with pytest.raises(UserError, match=words):
    validate(Config(**fields))


def test_options_of_a_loss_reach_it():
  config = config_of("ebgan", "autoencoder", options="ebgan_margin=100")
  side = returned(1.0, jnp.zeros((1, 2)))
  loss = game_parts(config)["loss"]
  np.testing.assert_allclose(loss.discriminator(side, side), [100.0], rtol=1e-5)


def test_which_losses_have_one_of_each_sample_to_be_weighed():
  alone = {name for name in OF_OUTPUTS if of_each_sample(LOSSES[name])}
  assert alone == {*OF_OUTPUTS} - {"cramer", "mmd"}
