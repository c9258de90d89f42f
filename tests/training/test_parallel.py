"""One model, whatever runs it: every way, on any number of devices, is the step on one device."""

import functools
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan.errors import UserError
from gan.method.game import Batch
from gan.training import parallel
from gan.training.build import DataInfo, build
from gan.training.config import Config
from gan.training.parallel import AXIS, STRATEGIES, make_run, replicate, resolve

STEPS, UPDATES, BATCH, EXAMPLES = 3, 2, 8, 40

SHARED = {
  "latent_dim": 4,
  "batch_size": BATCH,
  "discriminator_steps": UPDATES,
  "optimizer": "sgd",
  "momentum": 0.5,
}


def rates(rate):
  return {"generator_learning_rate": rate, "discriminator_learning_rate": rate}


# Adam would turn differences of rounding in tiny gradients into whole steps: SGD throughout.
METHODS = {
  # Relativistic average losses take means over the batch; labels are split with it.
  "points": (
    Config(
      dataset="ring",
      model="points",
      width=8,
      loss="ragan",
      conditional=True,
      **rates(0.1),
      **SHARED,
    ),
    DataInfo((2,), 3, EXAMPLES, None),
  ),
  # Batch normalisation in both players. At larger rates three steps blow rounding up to 1e-4.
  "dcgan": (
    Config(
      dataset="mnist", model="dcgan", width=4, discriminator_norm="batch", **rates(0.02), **SHARED
    ),
    DataInfo((28, 28, 1), 0, EXAMPLES, None),
  ),
}


@functools.cache
def start(name):
  return jax.device_get(jax.jit(build(*METHODS[name]).init)(jax.random.key(0)))


def dataset(name):
  config, info = METHODS[name]
  rng = np.random.default_rng(0)
  if len(info.image_shape) == 1:
    images = rng.standard_normal((EXAMPLES, 2)).astype(np.float32)
  else:
    images = rng.integers(0, 256, (EXAMPLES, *info.image_shape), np.uint8)
  labels = rng.integers(0, info.num_classes, EXAMPLES, np.int32) if config.conditional else None
  return Batch(images, labels)


def indices():
  shape = (STEPS, UPDATES, BATCH)
  return np.random.default_rng(1).integers(0, EXAMPLES, shape, np.int32)


@functools.cache
def trained(name, strategy, steps_per_call=1, data_on_host=False):
  """(state, metrics [STEPS]) on the host after STEPS steps on all devices."""
  devices = jax.devices()
  step = build(*METHODS[name], STRATEGIES[strategy][1]).step
  run = make_run(step, strategy, devices, data_on_host)
  state = replicate(jax.tree.map(jnp.asarray, start(name)), strategy, devices)
  data, seen = dataset(name) if data_on_host else replicate(dataset(name), strategy, devices), []
  for first in range(0, STEPS, steps_per_call):
    picked = indices()[first : first + steps_per_call]
    state, metrics = run(state, data, picked, jax.random.key(1))
    seen.append(metrics)
  metrics = jax.tree.map(lambda *parts: np.concatenate(parts), *jax.device_get(seen))
  return jax.device_get(state), metrics


def assert_close(got, expected, atol=1e-6):
  """Every leaf of the state, every metric."""

  def close(path, one, other):
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=atol, err_msg=jax.tree_util.keystr(path))

  jax.tree_util.tree_map_with_path(close, got, expected)


@pytest.mark.parametrize("name", sorted(METHODS))
@pytest.mark.parametrize("strategy", ["jit", "shard_map", "pmap"])
def test_every_way_on_two_devices_is_one_device(name, strategy):
  assert jax.device_count() == 2
  assert_close(trained(name, strategy), trained(name, "none"))


@pytest.mark.parametrize("name", sorted(METHODS))
def test_the_runs_compared_here_learn(name):
  state, metrics = trained(name, "none")
  assert state.step == STEPS and all(values.shape == (STEPS,) for values in metrics.values())
  before, after = start(name), state
  for player in ("generator", "discriminator"):
    pairs = (jax.tree.leaves(getattr(run, player).params) for run in (before, after))
    change = [np.abs(one - other).max() for one, other in zip(*pairs, strict=True)]
    assert max(change) > 1e-3


@pytest.mark.parametrize("name", sorted(METHODS))
def test_each_half_of_a_vmapped_batch_is_one_device(name):
  step = build(*METHODS[name], AXIS).step
  mapped = jax.jit(jax.vmap(step, in_axes=(None, 0, None), axis_name=AXIS))
  state, seen = start(name), []
  for picked in indices():
    batch = jax.tree.map(lambda array, picked=picked: array[picked], dataset(name))
    halves = jax.tree.map(
      lambda array: np.moveaxis(array.reshape(UPDATES, 2, BATCH // 2, *array.shape[2:]), 1, 0),
      batch,
    )
    states, metrics = jax.device_get(mapped(state, halves, jax.random.key(1)))
    state = jax.tree.map(lambda leaf: leaf[0], states)
    assert_close(jax.tree.map(lambda leaf: leaf[1], states), state)
    seen.append(jax.tree.map(lambda metric: metric[0], metrics))
  metrics = jax.tree.map(lambda *parts: np.stack(parts), *seen)
  assert_close((state, metrics), trained(name, "none"))


@pytest.mark.parametrize("strategy", ["none", "shard_map"])
def test_a_call_of_three_steps_is_three_calls_of_one(strategy):
  assert_close(trained("points", strategy, steps_per_call=3), trained("points", strategy))


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
@pytest.mark.parametrize("steps_per_call", [1, 3])
def test_a_data_set_on_the_host_trains_the_same_model(strategy, steps_per_call):
  assert_close(
    trained("points", strategy, steps_per_call, data_on_host=True), trained("points", "none")
  )


class Watched(np.ndarray):
  """An array that notes the rows that are read."""

  def __getitem__(self, at):
    self.read.append(np.asarray(at))
    return np.asarray(self)[at]


@pytest.mark.parametrize("strategy", ["jit", "shard_map"])
def test_a_device_is_fed_the_rows_of_its_share_alone(strategy):
  images = dataset("points").image.view(Watched)
  images.read = []
  run = make_run(
    lambda state, batch, key: (state + batch.image.sum(), {}), strategy, jax.devices(), True
  )
  state = replicate(jnp.zeros(()), strategy, jax.devices())
  run(state, Batch(images, None), indices(), jax.random.key(0))
  read = sorted(images.read, key=lambda at: at.tolist())
  halves = sorted(np.split(indices(), 2, axis=2), key=lambda at: at.tolist())
  np.testing.assert_array_equal(read, halves)


@pytest.mark.parametrize(
  ("place", "limit", "host"),
  [("host", 1e9, True), ("device", 1, False), ("auto", 400, False), ("auto", 396, True)],
)
def test_auto_keeps_on_the_host_what_takes_more_than_a_quarter_of_a_device(place, limit, host):
  class Device:
    process_index = 0

    def memory_stats(self):
      return {"bytes_limit": limit}

  data = Batch(np.zeros(100, np.uint8), None)
  assert parallel.stays_on_host(place, data, [Device()]) == host
  assert not parallel.stays_on_host("auto", data, jax.devices())  # a CPU tells no limit


def test_runs_of_a_sweep_are_the_runs_alone():
  step = build(*METHODS["points"]).step
  runs = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), start("points"))
  keys = jnp.stack([jax.random.key(5), jax.random.key(1)])
  together = jax.jit(jax.vmap(step, in_axes=(0, None, 0)))
  for picked in indices():
    batch = jax.tree.map(lambda array, picked=picked: array[picked], dataset("points"))
    runs, _ = together(runs, batch, keys)
  state, _ = trained("points", "none")
  assert_close(jax.tree.map(lambda leaf: leaf[1], runs), state)
  kernels = runs.generator.params["Dense_0"]["Dense_0"]["kernel"]
  assert np.abs(kernels[0] - kernels[1]).max() > 1e-4  # another key is another run


# Four devices need a process of their own: it imports this file and calls `main`.


def main():
  assert jax.device_count() == 4
  for strategy in ("jit", "shard_map", "pmap"):
    assert_close(trained("points", strategy), trained("points", "none"))
    print(strategy)


@pytest.mark.cluster
def test_every_way_on_four_devices_is_one_device():
  env = {
    **os.environ,
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
    "JAX_COMPILATION_CACHE_DIR": jax.config.jax_compilation_cache_dir or "",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.2",
    "PYTHONPATH": os.pathsep.join(sys.path),
  }
  result = subprocess.run(
    [sys.executable, "-c", "import test_parallel; test_parallel.main()"],
    env=env,
    capture_output=True,
    text=True,
  )
  assert result.returncode == 0, result.stderr[-2000:]
  assert result.stdout.split() == ["jit", "shard_map", "pmap"]


# Which way, and which batches.


def test_auto_is_jit_where_a_device_has_no_whole_packs():
  assert resolve("auto", 12, jax.devices()[:2], packing=4) == "jit"
  assert resolve("auto", 16, jax.devices()[:2], packing=4) == "shard_map"


@pytest.mark.parametrize(
  ("sizes", "words"),
  [
    ({"generator_batch_size": 9}, "--generator_batch_size=9 .* the 2 devices: use .*=8, or"),
    ({"accumulate": 8}, "--batch_size=8 .* the 2 devices times --accumulate=8: use .*=16, or"),
    ({"packing": 4, "accumulate": 2}, "devices times --packing=4 times --accumulate=2: use .*=16"),
  ],
)
@pytest.mark.parametrize("strategy", ["shard_map", "pmap"])
def test_shares_without_equal_parts_are_refused_and_auto_leaves_them_to_jit(strategy, sizes, words):
  with pytest.raises(UserError, match=words):
    resolve(strategy, 8, jax.devices()[:2], **sizes)
  assert resolve("auto", 8, jax.devices()[:2], **sizes) == "jit"
  assert resolve("none", 8, jax.devices()[:1], **sizes) == "none"


@pytest.mark.parametrize(("count", "strategy"), [(1, "none"), (2, "shard_map")])
def test_auto_is_none_on_one_device_and_shard_map_on_several(count, strategy):
  assert resolve("auto", 8, jax.devices()[:count]) == strategy


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_a_way_by_name_is_that_way(strategy):
  assert resolve(strategy, 8, jax.devices()) == strategy


@pytest.mark.parametrize(("batch_size", "fitting"), [(63, 62), (7, 6), (3, 2), (1, 2)])
@pytest.mark.parametrize("strategy", ["auto", "jit", "shard_map", "pmap"])
def test_a_batch_that_cannot_be_split_is_refused_with_one_that_can(strategy, batch_size, fitting):
  with pytest.raises(UserError) as error:
    resolve(strategy, batch_size, jax.devices())
  message = str(error.value)
  assert f"--batch_size={batch_size} " in message and f"--batch_size={fitting}," in message
  assert "\n" not in message
  assert resolve(strategy, fitting, jax.devices())  # the advice holds


def test_one_device_takes_any_batch():
  assert resolve("none", 63, jax.devices()) == "none"
  assert resolve("auto", 63, jax.devices()[:1]) == "none"


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_the_state_is_donated(strategy):
  devices = jax.devices()
  run = make_run(
    lambda state, batch, key: (state + 1.0, {"loss": jnp.zeros(())}), strategy, devices
  )
  state = replicate(jnp.ones((4, 4)), strategy, devices)
  data = replicate(Batch(np.zeros((8, 2), np.float32), None), strategy, devices)
  after, metrics = run(state, data, np.zeros((1, 1, 2), np.int32), jax.random.key(0))
  assert state.is_deleted()
  np.testing.assert_array_equal(after, 2 * np.ones((4, 4)))
  assert metrics["loss"].shape == (1,)


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_nothing_has_a_leading_device_axis(strategy):
  placed = parallel.replicate(jnp.ones((3, 5)), strategy, jax.devices())
  assert placed.shape == (3, 5)
  assert len(placed.sharding.device_set) == (1 if strategy == "none" else 2)
  assert placed.sharding.is_fully_replicated
