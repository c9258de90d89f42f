"""A worker that makes our training steps."""

import sys

import jax
import jax.numpy as jnp

from experiments.benchmark.cases import CASES, LATENT_DIM, serve
from gan import parallel
from gan.config import Config, DataInfo, build
from gan.datafeed import batch_indices
from gan.game import Batch


def main():
  case, batch_size = sys.argv[1], int(sys.argv[2])
  config = Config(model=CASES[case], latent_dim=LATENT_DIM, batch_size=batch_size, ema_decay=0.0)
  algorithm = build(config, DataInfo((28, 28, 1), 0, 10 * batch_size, pixel_mean=None))
  run = parallel.make_run(algorithm.step, "none", jax.local_devices())
  key = jax.random.key(0)
  data = Batch(jax.random.bits(key, (10 * batch_size, 28, 28, 1), jnp.uint8), None)
  state = jax.jit(algorithm.init)(key)
  players = state.generator.params, state.discriminator.params
  counts = tuple(sum(leaf.size for leaf in jax.tree.leaves(params)) for params in players)
  done = 0

  def steps(count):
    nonlocal state, done
    for step in range(done, done + count):
      indices = batch_indices(0, 10 * batch_size, step, 1, 1, batch_size)
      state, _ = run(state, data, indices, key)
    done += count
    jax.block_until_ready(state)

  serve(counts, steps)


if __name__ == "__main__":
  main()
