"""Examples that D judges together: their layout, a step on them, what is refused."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import mnist, ring
from gan.errors import UserError
from gan.losses import of_logits
from gan.method.game import Batch
from gan.models import MODELS
from gan.networks import pack
from gan.penalties import PENALTIES
from gan.training import parallel
from gan.training.build import DataInfo, build
from gan.training.config import Config
from gan.training.validation import validate

PACKED = Config(
  dataset="ring", model="points", width=8, latent_dim=3, batch_size=8, steps=2, packing=2
)
INFO = DataInfo((2,), 0, 64, None)


def points(batch=8):
  return jnp.asarray(np.random.default_rng(0).standard_normal((1, batch, 2)), jnp.float32)


def step_of(config, axis_name=()):
  algorithm = build(config, INFO, axis_name)
  return algorithm.init(jax.random.key(0)), algorithm.step


def test_points_stand_side_by_side():
  rows = pack(jnp.arange(8.0).reshape(4, 2), 2)
  np.testing.assert_array_equal(rows, [[0, 1, 2, 3], [4, 5, 6, 7]])


def test_channels_of_images_stand_side_by_side():
  images = np.random.default_rng(0).standard_normal((6, 2, 4, 3)).astype(np.float32)
  rows = np.asarray(pack(jnp.asarray(images), 3))
  assert rows.shape == (2, 2, 4, 9)
  for row in range(2):
    np.testing.assert_array_equal(rows[row], np.concatenate(images[3 * row : 3 * row + 3], axis=-1))


def test_one_at_a_time_is_the_identity():
  examples = points()[0]
  assert pack(examples, 1) is examples


@pytest.mark.parametrize("model", [name for name in MODELS if name not in ("points", "pacgan")])
def test_every_model_sees_more_channels(model):
  sides = {"firstgan_dcgan": 64, "tutorial_dcgan": 64}
  sides |= dict.fromkeys(("stylegan2", "sndcgan", "r3gan", "r3gan_small"), 32)
  side = sides.get(model, 28)
  info = DataInfo((side, side, 1), 0, 64, np.full((side, side, 1), 0.5))
  config = Config(model=model, packing=2, batch_size=4)
  images = jnp.zeros((4, side, side, 1))

  def judge(key):
    gan = build(config, info).gan
    params, model_state = gan.discriminator.init(key)
    return gan.discriminator.apply(params, model_state, pack(images, 2), None, train=False)[0]

  assert jax.eval_shape(judge, jax.random.key(0)).shape == (2,)


@pytest.mark.parametrize("loss", of_logits())
def test_loss_is_that_of_packed_rows(loss):
  """With rates of 0 the step's logits can be had by hand: those of rows of two points."""
  rates = {"generator_learning_rate": 0.0, "discriminator_learning_rate": 0.0}
  config = dataclasses.replace(PACKED, loss=loss, optimizer="sgd", b1=0.5, **rates)
  state, step = step_of(config)
  real = points()
  metrics = step(state, Batch(real, None), jax.random.key(1))[1]
  rows = jnp.concatenate([real[0, 0::2], real[0, 1::2]], axis=1)  # [4, 4]
  player, gan = state.discriminator, build(config, INFO).gan
  logits, _ = gan.discriminator.apply(player.params, {}, rows, None, train=False)
  assert logits.shape == (4,)
  np.testing.assert_allclose(metrics["real_logit"], logits.mean(), rtol=1e-5, atol=1e-6)
  assert all(np.isfinite(value) for value in metrics.values())


@pytest.mark.parametrize("penalty", [name for name in PENALTIES if name != "none"])
def test_penalties_are_of_rows(penalty):
  state, step = step_of(dataclasses.replace(PACKED, penalty=penalty))
  metrics = step(state, Batch(points(), None), jax.random.key(1))[1]
  assert np.isfinite(metrics["penalty"]) and metrics["penalty"] >= 0


def test_devices_do_not_matter():
  devices, data = jax.local_devices()[:2], Batch(points()[0], None)
  indices, ends = np.arange(8)[None, None], []
  for way in ("none", "jit", "shard_map"):
    state, step = step_of(PACKED, parallel.STRATEGIES[way][1])
    run = parallel.make_run(step, way, devices)
    placed = (parallel.replicate(tree, way, devices) for tree in (state, data))
    state, metrics = run(*placed, indices, jax.random.key(1))
    ends.append(jax.device_get((state.generator.params, metrics)))
  for other in ends[1:]:
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    jax.tree.map(close, other, ends[0])


@pytest.mark.parametrize(
  ("fields", "words"),
  [
    ({"batch_size": 7}, "--batch_size=7 is not divisible by --packing=2: use --batch_size=6"),
    ({"packing": 0}, "--packing=0 must be above 0"),
    ({"conditional": True}, "leave out --conditional or --packing"),
  ],
)
def test_what_cannot_be_is_refused(fields, words):
  with pytest.raises(UserError, match=words):
    validate(dataclasses.replace(PACKED, **fields))


def test_share_of_a_device_is_checked():
  with pytest.raises(UserError, match="`packing=2` does not divide the 3 examples of a device"):
    pack(points(3)[0], 2)


def test_runs_of_points_and_of_images(tmp_path):
  shared = ["--steps=2", "--packing=2", "--batch_size=8", "--eval_every=0", "--parallel=none"]
  assert ring.main(["ring", *shared, "--width=8", f"--workdir={tmp_path / 'ring'}"]) == 0
  digits = ["--dataset=digits", "--model=mlp", f"--workdir={tmp_path / 'digits'}"]
  assert mnist.main(["mnist", *shared, *digits]) == 0
  for name in ("ring", "digits"):
    assert len(list((tmp_path / name / "samples").glob("*.png"))) == 1
