"""The residual networks: counts of the sources, PyTorch, sides, conditionings, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch_agreement

import gan
from gan.models import ModelSpec, build

WGAN_GP = {"generator_scale": 1, "pooling": "mean", "logit_bias": True}
KEY = jax.random.key(0)


def spec(size=32, colours=3, **fields):
  return ModelSpec((size, size, colours), **({"latent_dim": 128} | fields))


def conditional(conditioning):
  return {"num_classes": 10, "conditioning": conditioning}


def counts(given, **options):
  players = build("resnet", given, **options)
  shapes = (
    jax.eval_shape(each.init, KEY)[0] for each in (players.generator, players.discriminator)
  )
  return tuple(sum(leaf.size for leaf in jax.tree.leaves(tree)) for tree in shapes)


DOUBLING = {"resnet_channels": "doubling"}
CBN = conditional("cbn+projection")
COUNTS = {
  "SNGAN": (spec(), {}, (4_276_739, 1_053_824)),
  "mimicry": (spec(), {"logit_bias": True}, (4_276_739, 1_053_825)),
  "cGAN-PD": (spec(**CBN), {}, (4_304_387, 1_055_104)),
  "cGAN-PD, bias": (spec(**CBN), {"logit_bias": True}, (4_304_387, 1_055_105)),
  "SNGAN 64": (spec(64), {"logit_bias": True}, (12_220_675, 10_141_441)),
  "cGAN-PD 64": (spec(64, **CBN), {"logit_bias": True}, (12_272_515, 10_151_681)),
  "64 and 32 channels": (spec(width=32), {}, (368_771, 66_848)),
  "32 channels": (spec(width=32), {"generator_scale": 1}, (126_019, 66_848)),
  "32 channels, grey": (spec(32, 1, width=32), {"generator_scale": 1}, (125_441, 66_208)),
  "WGAN-GP": (spec(discriminator_norm="none"), WGAN_GP, (1_204_483, 1_053_825)),
  "AC-GAN": (
    spec(discriminator_norm="none", **conditional("acgan")),
    WGAN_GP,
    (1_218_307, 1_055_115),
  ),
}


@pytest.mark.parametrize(("given", "options", "expected"), COUNTS.values(), ids=COUNTS)
def test_parameters_are_as_many_as_in_the_source(given, options, expected):
  assert counts(given, **options) == expected


# The first side of the generator, and the last of the discriminator, at each side of images.
SIDES = {8: (4, 2), 12: (6, 3), 20: (5, 5), 28: (7, 7), 32: (4, 8), 36: (9, 9), 40: (5, 10)}


@pytest.mark.parametrize("channels", ["constant", "doubling"])
@pytest.mark.parametrize("size", [8, 12, 28, 36, 96])
def test_any_multiple_of_four_is_made(size, channels):
  players = build("resnet", spec(size, 1, latent_dim=6, width=4), resnet_channels=channels)

  def images(key):
    params, state = players.generator.init(key)
    fake, _ = players.generator.apply(params, state, jnp.zeros((2, 6)), train=False)
    params, state = players.discriminator.init(key)
    return fake, players.discriminator.apply(params, state, fake, train=False)[0]

  fake, logits = jax.eval_shape(images, KEY)
  assert (fake.shape, logits.shape) == ((2, size, size, 1), (2,))


@pytest.mark.parametrize(("size", "sides"), SIDES.items(), ids=map(str, SIDES))
def test_the_first_side_of_the_generator_is_small(size, sides):
  players = build("resnet", spec(size, latent_dim=6, width=4), resnet_channels="constant")
  kernel = jax.eval_shape(players.generator.init, KEY)[0]["Dense_0"]["Dense_0"]["kernel"]
  assert kernel.shape == (6, sides[0] ** 2 * 8)
  assert sides[1] == size // 4


REFUSED = {
  "side": (spec(30), {}, "`model=resnet` cannot make images of 30x30: the side must be a multiple"),
  "tiny": (spec(4), {}, "from 8 on"),
  "points": (ModelSpec((2,)), {}, "the data are points"),
  "pooling": (spec(), {"pooling": "max"}, "`pooling=max` is unknown: choose from sum, mean"),
  "channels": (spec(), {"resnet_channels": "wide"}, "choose from constant, doubling"),
  "width": (spec(), {"generator_scale": -1}, "`generator_scale=-1` must be above 0"),
}


@pytest.mark.parametrize(("given", "options", "message"), REFUSED.values(), ids=REFUSED)
def test_bad_input_is_refused(given, options, message):
  with pytest.raises(gan.UserError, match=message.replace("(", r"\(")) as error:
    build("resnet", given, **options)
  assert "\n" not in str(error.value)


def test_pooling_by_sum_is_that_by_mean_times_the_pixels():
  given = spec(8, latent_dim=6, width=4, discriminator_norm="none")
  by_sum, by_mean = (
    build("resnet", given, pooling=pooling).discriminator for pooling in ("sum", "mean")
  )
  params, state = by_sum.init(KEY)
  images = jax.random.uniform(KEY, (2, 8, 8, 3))

  @jax.jit
  def logits(params):
    return [each.apply(params, state, images, train=False)[0] for each in (by_sum, by_mean)]

  summed, averaged = logits(params)
  np.testing.assert_allclose(summed, 4 * averaged, rtol=1e-5)


# Against PyTorch.

CGAN = spec(16, latent_dim=6, width=4, **CBN)
WGAN = spec(16, latent_dim=6, width=4, discriminator_norm="none")
PEERS = {
  "cGAN-PD, G": (CGAN, {}, "generator", True),
  "cGAN-PD, D": (CGAN, {}, "discriminator", True),
  "cGAN-PD, D, stored u": (CGAN, {}, "discriminator", False),
  "WGAN-GP, D": (WGAN, {"pooling": "mean", "logit_bias": True}, "discriminator", True),
  "doubling, G": (spec(8, 1, latent_dim=6, width=4), DOUBLING, "generator", True),
  "doubling, D": (spec(8, 1, latent_dim=6, width=4), DOUBLING, "discriminator", True),
}


def peers(given, options):
  """PyTorch's generator and discriminator of the same sizes as ours."""
  from experiments.benchmark import torch_resnet

  size, _, colours = given.image_shape
  constant = options.get("resnet_channels") != "doubling"
  downs = (True, True, False, False) if constant else (True, True)
  generator = torch_resnet.Generator(
    size, colours, (8, 8, 8) if constant else (8, 4), 6, given.num_classes
  )
  discriminator = torch_resnet.Discriminator(
    colours,
    (4,) * 4 if constant else (4, 8),
    downs,
    given.discriminator_norm is None,
    options.get("pooling", "sum"),
    options.get("logit_bias", False),
    given.num_classes,
  )
  return generator, discriminator


@pytest.mark.parametrize(("given", "options", "player", "train"), PEERS.values(), ids=PEERS)
def test_outputs_and_gradients_are_those_of_pytorch(given, options, player, train):
  pytest.importorskip("torch", reason="PyTorch is the extra `bench`")
  ours = getattr(build("resnet", given, **options), player)
  theirs = dict(zip(("generator", "discriminator"), peers(given, options), strict=True))[player]
  labels = jnp.array([1, 0, 7]) if given.num_classes else None
  shape = (3, 6) if player == "generator" else (3, *given.image_shape)
  torch_agreement.check(ours, theirs, shape, labels, train)
