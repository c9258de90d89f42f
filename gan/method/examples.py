"""What each player of a game is given: of examples and labels only the shapes."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from gan.method import returned
from gan.method.game import Game


def examples_of(game: Game) -> list[tuple[Array, Array | None]]:
  """Returns an example of what each player is given: (inputs, labels), of arrays of zeros."""
  latents, labels = _given(game)
  *shape, channels = made_shape(game)
  return [(latents, labels), (jnp.zeros((1, *shape, game.packing * channels)), labels)]


def _given(game: Game) -> tuple[Array, Array | None]:
  """What the generator is given for an example."""
  labels = jnp.zeros((1,), jnp.int32) if game.num_classes else None
  latent = jax.eval_shape(game.sample_latent, jax.random.key(0))
  fits, words = len(getattr(latent, "shape", ())) == 1, "one latent, an array [Z]"
  returned.checked(latent, fits, "sample_latent", game.sample_latent, words)
  return jnp.zeros((1, *latent.shape)), labels


def made_shape(game: Game) -> tuple[int, ...]:
  """Returns the shape of what the generator makes: [H, W, C], or [2]."""

  def generate() -> Array:
    params, model_state = game.generator.init(jax.random.key(0), *_given(game))
    made, _ = game.generator.apply(params, model_state, *_given(game), train=False)
    return returned.generated(made)

  return jax.eval_shape(generate).shape[1:]
