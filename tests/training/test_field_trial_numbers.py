"""The cache on every supported jaxlib, the end of an aborted process, and numbers held by hand."""

import dataclasses
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import ROOT

from gan.method import train_step
from gan.method.game import Batch
from gan.training import distributed, sampling
from gan.training.build import DataInfo, build, hyperparameters
from gan.training.config import Config

# A command that caches every program, however quickly it compiles, and counts how each was had.
COMMAND = """
import collections, sys
import jax
from experiments.cli import common
from experiments import mnist
always = {"jax_persistent_cache_min_compile_time_secs": 0}
common.use_compilation_cache = lambda: [jax.config.update(*item) for item in always.items()]
seen = collections.Counter()
jax.monitoring.register_event_listener(lambda name, **_: seen.update([name.split("/")[-1]]))
code = mnist.main(sys.argv)
print("programs:", seen["compile_requests_use_cache"], seen["cache_hits"])
sys.exit(code)
"""


def run_python(*arguments, **environment):
  return subprocess.run(
    [sys.executable, *arguments],
    cwd=ROOT,
    env=os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"} | environment,
    capture_output=True,
    text=True,
    check=False,
  )


@pytest.mark.cluster
def test_a_second_process_compiles_nothing_and_neither_warns(tmp_path):
  cache, entries, programs = tmp_path / "cache", [], []
  flags = ["--dataset=digits", "--steps=2", "--width=8", "--batch_size=16"]
  flags += ["--eval_every=2", "--eval_samples=100"]
  for name in ("first", "second"):
    # Any warning is an error there, and programs are those of users.
    done = run_python(
      *("-W", "error", "-c", COMMAND, *flags, f"--workdir={tmp_path / name}"),
      JAX_COMPILATION_CACHE_DIR=str(cache),
      JAX_DISABLE_MOST_OPTIMIZATIONS="0",
    )
    assert done.returncode == 0, done.stderr
    assert "arning" not in done.stdout + done.stderr
    entries.append({path.name for path in cache.glob("*-cache")})
    programs.append([int(count) for count in done.stdout.splitlines()[-1].split()[1:]])
  (asked, hits), (asked_again, hits_again) = programs
  assert asked == asked_again == hits_again > 10 and hits == 0
  assert len(entries[0]) == asked and entries[1] == entries[0]


# What ends a process of many, and the line it leaves; the wait for the others at the end fails too.
ENDS = {
  "abort()": "error: process 0 ended: it was killed, or another one died or was silent for 9 s",
  "threading.Thread(target=abort).start(); time.sleep(60)": "error: process 0 ended: it was killed",
  "raise UserError('no room')": "error: process 0 ended: no room. What was saved is whole",
  "raise OSError('no room')": "error: process 0 ended: OSError: no room. What was saved is whole",
  "logging.error('pages'); 1 / 0": "error: process 0 ended: ZeroDivisionError: division by zero",
  "pass": "error: process 0 ended: RuntimeError: nobody came. What was saved is whole",
}
PROCESS = """
import ctypes, logging, sys, threading, time
import jax
from gan.training import distributed
from gan.errors import UserError

def nobody_comes():
  raise RuntimeError("nobody came")

abort = ctypes.CDLL(None).abort
distributed._initialize = distributed._meet = distributed._exchange = lambda *arguments: None
jax.distributed.shutdown = nobody_comes
with distributed.joined("127.0.0.1:1", 2, 0, 9):
  exec(sys.argv[1])
"""


@pytest.mark.parametrize("event", ENDS)
def test_a_process_that_loses_the_others_ends_with_a_line_and_its_code(event, tmp_path):
  done = run_python("-c", PROCESS, event, TMPDIR=str(tmp_path))
  assert done.returncode == distributed.LOST
  # The watcher prints it once the process is gone, and holds stderr open until then.
  (line,) = done.stderr.splitlines()
  assert line.startswith(ENDS[event]) and not done.stdout


@pytest.mark.parametrize("dimension", [1, 2, 3, 64])
def test_an_interpolation_stays_within_the_lengths_of_its_ends(dimension):
  first, last = jax.random.normal(jax.random.key(dimension), (2, 1000, dimension))
  last = jnp.concatenate([last, -0.5 * first, -first, first, jnp.zeros_like(first)])
  first = jnp.tile(first, (5, 1))
  shares = np.linspace(0, 1, 11)
  path = np.stack([sampling._great_circle(first, last, share) for share in shares])
  lengths = np.linalg.norm(path, axis=2)
  assert np.all(lengths <= 1.002 * np.maximum(lengths[0], lengths[-1]) + 1e-6)
  np.testing.assert_allclose(path[0], first, rtol=2e-3, atol=1e-5)
  np.testing.assert_allclose(path[-1], last, rtol=2e-3, atol=1e-5)


def test_an_interpolation_in_one_dimension_is_a_straight_line():
  ends = np.array([[0.5], [-2.0]]), np.array([[-1.5], [-1.0]])
  for share in (0.0, 0.25, 0.5, 1.0):
    between = sampling._great_circle(*map(jnp.asarray, ends), share)
    np.testing.assert_allclose(between, (1 - share) * ends[0] + share * ends[1], rtol=1e-6)


def test_the_average_moves_by_the_whole_of_one_minus_the_decay():
  config = Config(dataset="ring", model="points", width=4, latent_dim=2)
  algorithm = build(config, DataInfo((2,), 0, 64, None))
  batch, step = Batch(np.ones((1, 4, 2), np.float32), None), jax.jit(algorithm.step)
  state = algorithm.init(jax.random.key(0))
  # Past the steps where the decay grows, (1 + t) / (10 + t); from averages of 0.
  nothing = jax.tree.map(jnp.zeros_like, state.ema_params)
  state = state.replace(step=jnp.int32(2**30), ema_params=nothing)
  for decay in (0.0, 0.5, 0.9, 0.99, 0.998, 0.9999999):
    numbers = hyperparameters(dataclasses.replace(config, ema_decay=decay))
    after, _ = step(state.replace(hyperparameters=numbers), batch, jax.random.key(0))
    moved, whole = map(jax.tree.leaves, (after.ema_params, after.generator.params))
    for average, now in zip(moved, whole, strict=True):
      np.testing.assert_allclose(average, (1 - decay) * np.asarray(now, float), rtol=1e-6)


def test_an_average_of_equal_values_is_that_value(optimized):
  move = jax.jit(train_step._average)
  values = {"w": jax.random.normal(jax.random.key(0), (1000,))}
  for rate in (1.0, 0.1, 0.002, 1e-4, 1e-7, 3e-8):
    average = values
    for _ in range(100):
      average = move(average, values, jnp.float32(rate))
    np.testing.assert_array_equal(average["w"], values["w"])
