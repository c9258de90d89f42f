"""What losses and regularisers keep from step to step goes on with a run, to the bit."""

import jax
import numpy as np
import pytest

import gan
from gan import networks
from gan.losses import make_loss
from gan.theory.games import network

POINTS = 3 * np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32)


def weights(key):
  return jax.random.normal(key, (2, 2))


def judged(w, x):
  made = jax.numpy.tanh(x @ w)
  return networks.Outputs(made[:, 0], residual=x - made)


PLAYERS = {
  "generator": network(weights, lambda w, z: z @ w),
  "discriminator": network(weights, judged),
  "sample_latent": networks.latent_sampler("normal", 2),
}
# Parts of a game, and where in `aux_state` a number is that has moved within three steps.
KEPT = {
  "a loss": ({"loss": make_loss("began", began_rate=0.02)}, ("loss", "k")),
  "regularisers": (
    {
      "regularizers": {
        "apa": gan.REGULARIZERS["apa"].make(ada_every=1, ada_speed=32, ada_target=-0.5),
        "topk": gan.REGULARIZERS["topk"].make(topk_every=2, topk_gamma=0.7),
        "gradient_norm": gan.REGULARIZERS["gradient_norm"].make(),
      }
    },
    ("apa", "strength"),
  ),
}


@pytest.mark.parametrize("which", KEPT)
def test_a_run_that_was_stopped_keeps_what_its_parts_keep(tmp_path, which):
  parts, (owner, number) = KEPT[which]
  game = gan.Game(**PLAYERS, **parts)

  def fit(name, steps):
    quiet = {"log_every": 1, "sample_every": 100, "say": lambda line: None, "parallel": "none"}
    return gan.fit(game, POINTS, steps=steps, workdir=tmp_path / name, batch_size=8, **quiet)

  whole, before = fit("whole", 6), fit("parts", 3)
  assert before.state.aux_state[owner][number] > 0
  after = fit("parts", 6)
  assert after.state.aux_state[owner][number] != before.state.aux_state[owner][number]
  jax.tree.map(np.testing.assert_array_equal, whole.state, after.state)
