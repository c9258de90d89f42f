"""Data and samples judged in one call, or in two: the same objectives, in half of the program."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

from gan.losses import LOSSES
from gan.method.game import Batch, Examples, Game
from gan.method.updates import generator_update
from gan.models import ModelSpec, build
from gan.networks import Outputs, apart, from_linen
from gan.penalties import PENALTIES, make_penalty
from gan.regularizers import make_lecam


class D(nn.Module):
  """Labels shift the logit, so that those of the samples must be theirs."""

  @nn.compact
  def __call__(self, x, labels):
    hidden = nn.tanh(nn.Conv(4, (3, 3), name="conv")(x)).reshape(len(x), -1)
    logits = nn.Dense(1)(hidden)[:, 0]
    return logits if labels is None else logits + nn.Embed(3, 1)(labels)[:, 0]


class G(nn.Module):
  @nn.compact
  def __call__(self, z, labels):
    images = nn.tanh(nn.Dense(32)(z)).reshape(-1, 4, 4, 2)
    return images if labels is None else images + labels.reshape(-1, 1, 1, 1) / 3


def shifted(images, keys):
  return images + jax.vmap(lambda key: jax.random.normal(key, (4, 4, 2)))(keys)


PARTS = {
  "plain": {},
  "augmented": {"augment": shifted},
  "r1r2": {"penalty": PENALTIES["r1r2"], "loss": LOSSES["rsgan"]},
  "r1r2, augmented": {"penalty": PENALTIES["r1r2"], "augment": shifted},
  # A long step: in another order of sums differences over a short one are another number.
  "approx_r1r2, augmented": {
    "penalty": make_penalty("approx_r1r2", approx_sigma=1.0),
    "augment": shifted,
  },
  "with a regulariser": {"regularizers": {"lecam": make_lecam()}},
}


def game_of(joint, parts):
  """(game, state, batch)"""
  judge = from_linen(D())._replace(joint=joint)
  game = Game(
    generator=from_linen(G()),
    discriminator=judge,
    num_classes=3,
    fake_labels="uniform",
    **parts,
  )
  rng = np.random.default_rng(0)
  images = rng.normal(size=(1, 8, 4, 4, 2)).astype(np.float32)
  batch = Batch(jnp.array(images), jnp.array(rng.integers(0, 3, (1, 8)), jnp.int32))
  return game, game.init(toys.key(0)), batch


def stepped(joint, parts):
  """(convolutions in the program of a step, what it returns)"""
  game, state, batch = game_of(joint, parts)
  program = str(jax.make_jaxpr(game.step)(state, batch, toys.key(1)))
  return program.count("conv_general_dilated["), jax.jit(game.step)(state, batch, toys.key(1))


@pytest.mark.parametrize("name", PARTS)
def test_one_call_is_two_calls_in_less(name):
  fewer, (state, metrics) = stepped(True, PARTS[name])
  more, (expected, there) = stepped(False, PARTS[name])
  assert fewer < more

  def close(a, b):
    return np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)

  jax.tree.map(close, metrics, there)
  # Of the first moments, which are the gradients, and not of what Adam makes of their signs.
  for player in ("generator", "discriminator"):
    found, wanted = (getattr(each, player).opt_state[0].mu for each in (state, expected))
    jax.tree.map(close, found, wanted)


@pytest.mark.parametrize("loss", ["wgan", "rsgan"])
def test_an_update_of_the_generator_costs_no_more(loss):
  def flops(joint):
    game, state, batch = game_of(joint, {"loss": LOSSES[loss]})
    examples = Examples(batch.image[0], batch.label[0])
    update = jax.jit(lambda state: generator_update(game, state, examples, toys.key(1)))
    return update.lower(state).compile().cost_analysis()["flops"]

  assert flops(True) == flops(False)


@pytest.mark.parametrize("labelled", [True, False])
def test_the_critic_of_some_rows_is_the_critic_of_all_there(labelled):
  def difference_to(others):
    def compare(critic, real, fake, keys):
      rows = np.array([1, 3])
      part = critic.part(rows)
      found = part.on_real(real[rows]), part.on_fake(fake[rows]), part.real_logits, part.fake_logits
      whole = critic.on_real(real), critic.on_fake(fake)
      gaps = [jnp.abs(one - of[others]) for one, of in zip(found, whole * 2, strict=True)]
      return jnp.full(len(real), jnp.max(jnp.stack(gaps)))

    game, _, batch = game_of(True, {"penalty": compare, "augment": shifted})
    if not labelled:  # rows of two examples, which are of any class
      game = game.replace(num_classes=0, fake_labels="batch", packing=2)
      batch = Batch(batch.image, None)
    return game.step(game.init(toys.key(0)), batch, toys.key(1))[1]["penalty"]

  assert difference_to(np.array([1, 3])) < 1e-5
  assert difference_to(np.array([0, 3])) > 1e-2


def test_outputs_are_taken_apart_by_examples():
  weight = jnp.arange(2.0)
  both = Outputs(jnp.arange(5.0), features=jnp.arange(10.0).reshape(5, 2), last_weight=weight)
  first, second = apart(both, 2)
  np.testing.assert_array_equal(first.logits, [0, 1])
  np.testing.assert_array_equal(second.features, [[4, 5], [6, 7], [8, 9]])
  assert first.class_logits is None and second.last_weight is weight


@pytest.mark.parametrize(
  ("name", "norm", "joint"),
  [
    ("r3gan", None, True),
    ("resnet", "none", True),
    ("resnet", "layer", True),
    ("resnet", None, False),  # each call is an iteration of spectral normalisation
    ("stylegan2", None, False),  # the standard deviation within a group of the batch
  ],
)
def test_models_that_mix_no_examples_say_so(name, norm, joint):
  spec = ModelSpec((32, 32, 3), latent_dim=8, width=8, discriminator_norm=norm)
  assert build(name, spec).discriminator.joint == joint
