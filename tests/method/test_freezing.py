"""Frozen layers of the discriminator: which they are, and that nothing moves them."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import toys
from flax import nnx

import gan
from gan.errors import UserError
from gan.method import freezing
from gan.method.game import Batch
from gan.method.update_rules import adversarial_rules
from gan.training.config import Config
from gan.training.validation import validate


class Judge(nn.Module):
  """Layers whose names are in another order than their work, with a norm and a label's embedding.

  The kernel of the last is read first, as where weights are normalised before they are used.
  """

  @nn.compact
  def __call__(self, points, labels):
    last = self.param("last", nn.initializers.normal(), (4, 1))
    last = last / jnp.linalg.norm(last)
    hidden = nn.relu(nn.Dense(4, name="z")(points))
    hidden = nn.LayerNorm(name="y")(hidden)
    hidden = jax.jit(nn.relu)(nn.Dense(4, name="b")(hidden))
    hidden += nn.Embed(3, 4, name="a")(labels)
    return (hidden @ last)[:, 0]


def game_of(discriminator, **choices):
  generator = gan.from_linen(nn.Dense(2))
  sampler = gan.latent_sampler("normal", 2)
  return gan.Game(
    generator=generator, discriminator=discriminator, sample_latent=sampler, **choices
  )


def test_layers_are_in_the_order_in_which_the_image_meets_them():
  found = freezing.layers(game_of(gan.from_linen(Judge()), num_classes=3))
  assert found == (("z", "y"), ("b",), ("a",), ("last",))


def test_layers_of_a_module_within_a_module_and_of_nnx():
  class Inner(nn.Module):
    @nn.compact
    def __call__(self, points):
      return nn.Dense(1, name="a")(nn.relu(nn.Dense(3, name="b")(points)))[:, 0]

  class Wrapped(nn.Module):
    @nn.compact
    def __call__(self, points):
      return Inner()(points)

  class Nnx(nnx.Module):
    def __init__(self, rngs):
      self.b, self.a = nnx.Linear(2, 3, rngs=rngs), nnx.Linear(3, 1, rngs=rngs)

    def __call__(self, points):
      return self.a(nnx.relu(self.b(points)))[:, 0]

  assert freezing.layers(game_of(gan.from_linen(Wrapped()))) == (("b",), ("a",))
  assert freezing.layers(game_of(gan.from_nnx(lambda rngs: Nnx(rngs)))) == (("b",), ("a",))


def test_an_autoencoder_s_layers_are_those_of_the_encoder_first():
  # In its tree the decoder's convolution stands before the dense layers.
  players = gan.models.build("autoencoder", gan.ModelSpec((8, 8, 1), latent_dim=4, width=4))
  names = [name for (name,) in freezing.layers(gan.Game(**players._asdict()))]
  assert names == ["Conv_0", "Dense_0", "Dense_1", "Conv_1"]


@pytest.mark.parametrize("update_rule", adversarial_rules())
def test_no_rule_moves_a_frozen_layer_and_each_moves_the_others(update_rule):
  # Weights decay, and are clipped to less than those that are frozen.
  game = toys.make_game(
    toys.tanh_gan(),
    penalty="r1",
    update_rule=update_rule,
    lookahead_steps=2,
    clip_weights=True,
    discriminator_optimizer=optax.adamw(0.05, weight_decay=0.1),
    freeze_d=1,
  )
  state = toys.start(game, weight_clip=0.2, discriminator_learning_rate=2e-4)
  batch, step, before = Batch(jnp.ones((1, 4, 2)), None), jax.jit(game.step), state
  for _ in range(2):
    state, metrics = step(state, batch, toys.key(1))
  there, here = before.discriminator.params, state.discriminator.params
  np.testing.assert_array_equal(here["kernel"], there["kernel"])
  assert np.abs(there["kernel"]).max() > 0.2 and (here["out"] != there["out"]).all()
  assert metrics["discriminator_gradient_norm"] > 0


def test_the_gradient_and_the_moments_are_of_the_layers_that_move():
  def norm(freeze_d):
    game = toys.make_game(toys.tanh_gan(), optimizer="adam", freeze_d=freeze_d)
    state, metrics = game.step(toys.start(game), jnp.ones((4, 2)), toys.key(1))
    moments = optax.tree.get(state.discriminator.opt_state, "mu")
    return metrics["discriminator_gradient_norm"], moments

  (whole, _), (rest, moments), (nothing, _) = map(norm, (0, 1, 2))
  assert whole > rest > nothing == 0
  assert not moments["kernel"].any() and moments["out"].all()


def test_spectral_norms_of_frozen_layers_are_still_estimated():
  class Spectral(nn.Module):
    @nn.compact
    def __call__(self, points, *, train):
      first, second = nn.SpectralNorm(nn.Dense(3)), nn.SpectralNorm(nn.Dense(1))
      hidden = nn.relu(first(points, update_stats=train))
      return second(hidden, update_stats=train)[:, 0]

  game = game_of(gan.from_linen(Spectral()), freeze_d=1)
  before = game.init(jax.random.key(0))
  after, _ = jax.jit(game.step)(before, jnp.ones((4, 2)), jax.random.key(1))
  then, now = before.discriminator, after.discriminator
  same = jax.tree.map(lambda a, b: bool((a == b).all()), then.params, now.params)
  assert same["Dense_0"] == {"kernel": True, "bias": True} and not same["Dense_1"]["kernel"]
  vectors = zip(*map(jax.tree.leaves, (then.model_state, now.model_state)), strict=True)
  assert any((a != b).any() for a, b in vectors)


def test_more_layers_than_there_are_is_one_line():
  game = game_of(gan.from_linen(Judge()), num_classes=3, freeze_d=5)
  expected = r"`freeze_d=5` is more than the 4 layers of the discriminator \(z and y, b, a, last\)"
  with pytest.raises(UserError, match=expected):
    game.init(jax.random.key(0))
  assert game.replace(freeze_d=4).init(jax.random.key(0)).step == 0


def test_a_rule_without_a_discriminator_has_nothing_to_freeze():
  with pytest.raises(UserError, match="--freeze_d has no meaning for --update_rule=drifting"):
    validate(Config(update_rule="drifting", freeze_d=1, fake_labels="batch"))
