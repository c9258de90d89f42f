"""A script of twenty lines, as a user writes it outside of the repository."""

import textwrap

SCRIPT = textwrap.dedent("""
  import sys
  import flax.linen as nn, jax, numpy as np, optax
  import gan

  class MyG(nn.Module):
    @nn.compact
    def __call__(self, z):
      return nn.Dense(2)(nn.tanh(nn.Dense(8)(z)))

  class MyD(nn.Module):
    @nn.compact
    def __call__(self, x):
      return nn.Dense(1)(nn.tanh(nn.Dense(8)(x)))[:, 0]

  my_loss = gan.Loss(lambda real, fake: fake - real, lambda real, fake: -fake)
  game = gan.Game(generator=gan.from_linen(MyG()), discriminator=gan.from_linen(MyD()),
                  loss=my_loss, optimizer=optax.adam(2e-4, b1=0.5))
  images = np.random.default_rng(0).normal(size=(256, 2)).astype(np.float32)
  state, step = game.init(jax.random.key(0)), jax.jit(game.step)
  state, metrics = step(state, images[:64], jax.random.key(1))
  run = gan.fit(game, images, steps=6, workdir=sys.argv[1])
  print(run.summary["status"], gan.load(sys.argv[1], game).sample(16, jax.random.key(2)).shape)
""")
