"""A worker that does a case with this library: `python -m experiments.benchmark.ours CASE`."""

import dataclasses
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmark import cases, worker
from experiments.benchmark.cases import CPU, Case
from experiments.cli.common import prepare
from gan.datasets import Dataset
from gan.datasets.batches import batch_indices
from gan.method.game import Batch
from gan.metrics import extractors
from gan.metrics.evaluator import make_evaluator
from gan.metrics.frechet import frechet_distance
from gan.training import parallel, sampling
from gan.training.build import DataInfo, build
from gan.training.config import Config
from gan.training.presets import PRESETS

SIDES = {"cpu": 2048, "gpu": 8192}  # of the matrices whose product is timed


def main():
  prepare()
  case = cases.parse(sys.argv[1])
  worker.serve(make_work(case))


def make_work(case: Case) -> worker.Work:
  """Returns what a worker can do for a case."""
  config = make_config(case)
  info = DataInfo(case.image_shape, case.game.classes, 10 * case.batch_size, pixel_mean=None)
  algorithm = build(config, info)
  key = jax.random.key(0)
  state = jax.jit(algorithm.init)(key)
  players = state.generator.params, state.discriminator.params
  counts = [sum(leaf.size for leaf in jax.tree.leaves(params)) for params in players]
  run = _TASKS["members" if case.runs_per_call else case.task](case, algorithm, state, key)
  about = {"version": jax.__version__, "devices": [str(device) for device in jax.devices()]}
  return worker.Work(counts, run, lambda: _rate(case), _peak_memory, about)


def make_steps(case: Case, **fields: Any) -> Callable[[int], None]:
  """Returns `count -> that many training steps` of a case, and waits for their end.

  Args:
    case: one of steps.
    **fields: of the config that are otherwise than the case has them.
  """
  config = dataclasses.replace(make_config(case), **fields)
  info = DataInfo(case.image_shape, case.game.classes, 10 * case.batch_size, pixel_mean=None)
  algorithm, key = build(config, info), jax.random.key(0)
  return _training(case, algorithm, jax.jit(algorithm.init)(key), key)


def make_config(case: Case) -> Config:
  """Returns the config of a case."""
  chosen = {
    "discriminator_steps": case.discriminator_steps,
    "batch_size": case.batch_size,
    "precision": case.precision,
  }
  if case.model in cases.FULL:
    return Config(**(_shared(PRESETS[case.model]) | chosen | _full_fields(case)))
  penalised = {"penalty_weight": cases.PENALTY_WEIGHT} if case.penalty != "none" else {}
  return Config(
    model=case.model,
    latent_dim=cases.LATENT_DIM,
    loss=case.game.loss,
    penalty=case.penalty,
    generator_learning_rate=cases.LEARNING_RATE,
    discriminator_learning_rate=cases.LEARNING_RATE,
    b1=cases.B1,
    b2=cases.B2,
    **({"ema_decay": 0.0} | chosen | penalised | _own_fields(case)),
  )


def _shared(preset):
  """The fields of a preset that PyTorch's side has too, with a lazy penalty in the loss."""
  own = ("augment", "augment_strength", "augment_control", "color_share")
  own += ("lazy_correction", "lazy_step")
  moved = preset.get("schedules", "").split(";")
  left = ";".join(each for each in moved if not each.startswith("augment_strength="))
  return {name: value for name, value in preset.items() if name not in own} | {"schedules": left}


def _full_fields(case):
  """What a preset has otherwise in a case: its own width is not typed, as options stand for it."""
  width = {} if case.width == case.game.width else {"width": case.width}
  samples = {"generator_batch_size": case.generator_batch_size}
  return width | (samples if case.game.generator_share > 1 else {})


def _own_fields(case):
  """Those of a network of cases.MODERN: its width in the terms of its options, labels, the average.

  `biggan` has four times as many channels as its width, and `stylegan2` those of its widest layers
  up to 16 pixels.
  """
  if case.model not in cases.MODERN:
    return {}
  width = case.width
  fields = {
    "resnet": {"width": width, "options": "generator_scale=1"},
    "biggan": {"width": width // 4},
    "stylegan2": {"options": f"channel_base={16 * width};channel_max={width}"},
    "r3gan": {"width": width, "options": "stage_widths=96-64-32-16;stage_blocks=1"},
  }[case.model]
  return fields | {"conditional": case.game.classes > 0, "ema_decay": cases.EMA_DECAY}


def _training(case, algorithm, state, key):
  run_steps = parallel.make_run(algorithm.step, "none", jax.local_devices())
  data, done = _data(case, key), 0

  def run(count):
    nonlocal state, done
    for step in range(done, done + count):
      state, _ = run_steps(state, data, _indices(case, step), key)
    done += count
    jax.block_until_ready(state)

  return run


def _data(case, key):
  count = 10 * case.batch_size
  images = jax.random.bits(key, (count, *case.image_shape), jnp.uint8)
  classes = case.game.classes
  return Batch(images, jnp.arange(count) % classes if classes else None)


def _indices(case, step):
  updates, size = case.discriminator_steps, case.batch_size
  return batch_indices(0, 10 * size, step, 1, updates, size)


def _group(case, algorithm, state, key):
  del state
  devices = jax.local_devices()[:1]
  keys = parallel.split_runs(jax.random.split(key, case.runs_per_call), devices)
  states = parallel.split_runs(jax.jit(jax.vmap(algorithm.init))(keys), devices)
  run_steps, data, done = parallel.make_group_run(algorithm.step, devices), _data(case, key), 0

  def run(count):
    nonlocal states, done
    for step in range(done, done + count):
      indices = np.stack([_indices(case, step)] * case.runs_per_call)
      states, _ = run_steps(states, data, indices, keys)
    done += count
    jax.block_until_ready(states)

  return run


def _sampling(case, algorithm, state, key):
  del case

  def run(count):
    sampling.samples(algorithm.gan, state, key, count * cases.SAMPLING_BATCH, None)

  return run


def _evaluation(case, algorithm, state, key):
  extractor = extractors.load("mnist")
  reference = extractor.extract(_noise(case)).features

  def run(count):
    for _ in range(count):
      fake = sampling.samples(algorithm.gan, state, key, cases.EVALUATED, None)
      frechet_distance(reference, extractor.extract(fake).features)

  return run


def _metrics(case, algorithm, state, key):
  data = Dataset("mnist", _noise(case), None, 0, "noise")
  measure, notice = make_evaluator(data, "train", cases.EVALUATED, seed=0)
  assert measure is not None, notice

  def run(count):
    for _ in range(count):
      measure(sampling.samples(algorithm.gan, state, key, cases.EVALUATED, None))

  return run


def _noise(case):
  shape = (cases.EVALUATED, *case.image_shape)
  return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


_TASKS = {
  "step": _training,
  "start": _training,
  "members": _group,
  "sampling": _sampling,
  "evaluation": _evaluation,
  "metrics": _metrics,
}


def _rate(case):
  side = SIDES[jax.default_backend()]
  matrix = jax.random.normal(jax.random.key(0), (side, side), case.precision)
  product = jax.jit(jnp.matmul)
  return worker.product_rate(lambda: product(matrix, matrix).block_until_ready(), side)


def _peak_memory():
  if jax.default_backend() == CPU:
    return worker.resident_mib()
  return jax.local_devices()[0].memory_stats()["peak_bytes_in_use"] / worker.MIB


if __name__ == "__main__":
  main()
