"""Games small enough to be worked by hand, played by the project's own step."""

import math

import jax
import jax.extend.random
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec as P

import gan
from gan.datasets import ring
from gan.method.game import Examples, Game
from gan.method.objectives import discriminator_objective
from gan.method.train_step import at_this_step
from gan.networks import Gan
from gan.state import GanState, Hyperparameters, as_arrays
from gan.theory import games
from gan.theory.games import dirac_gan, make_game, network
from gan.training.config import Config

__all__ = [
  "CHEAP",
  "RING",
  "dirac_gan",
  "equalized_variables",
  "key",
  "make_game",
  "network",
  "objective",
  "over_two_devices",
  "points",
  "ring_samples",
  "start",
  "tanh_gan",
]

# A run that takes a moment.
RING = Config(
  dataset="ring",
  split="train[:200]",
  model="points",
  width=8,
  latent_dim=2,
  batch_size=6,
  parallel="none",
)


def _mix(x):
  """The finaliser of MurmurHash3: every bit of the input reaches every bit of the output."""
  x = (x ^ (x >> 16)) * jnp.uint32(0x85EBCA6B)
  x = (x ^ (x >> 13)) * jnp.uint32(0xC2B2AE35)
  return x ^ (x >> 16)


def _pair(x):
  return jnp.stack([x, _mix(x + jnp.uint32(0x9E3779B9))], axis=-1)


def _words(key, shape):
  count = jnp.arange(math.prod(shape), dtype=jnp.uint32).reshape(shape)
  return _mix(_mix(count + key[0]) + key[1])


def _bits(key, width, shape):
  low = _words(key, shape)
  if width == 32:
    return low
  high = _mix(low + jnp.uint32(1))
  return (high.astype(jnp.uint64) << 32) | low.astype(jnp.uint64)


# A generator of few instructions: with the default one the compiler spends its time on it.
CHEAP = jax.extend.random.define_prng_impl(
  key_shape=(2,),
  seed=lambda seed: _pair(_mix(jnp.asarray(seed).astype(jnp.uint32))),
  split=lambda key, shape: _pair(_words(key, shape)),
  fold_in=lambda key, data: _pair(_mix(_mix(key[0] + data.astype(jnp.uint32)) + key[1])),
  random_bits=_bits,
  name="cheap",
  tag="chp",
)


def key(seed: int):
  """A typed key of CHEAP."""
  return jax.random.key(seed, impl=CHEAP)


def over_two_devices(step):
  """A step over (state, batch [K, B, ...], key), built with axis name "batch", on two devices."""
  mesh = jax.make_mesh((2,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
  specs = {"in_specs": (P(), P(None, "batch"), P()), "out_specs": (P(), P())}
  return jax.shard_map(step, mesh=mesh, check_vma=False, **specs)


def equalized_variables(network, seed: int = 0):
  """The arrays of `network.init`, without its compilation, of layers that scale weights themselves.

  Biases are about 0.1 off from where they start, so that a test sees them.
  """
  rng = np.random.default_rng(seed)

  def fill(path, leaf):
    names = [entry.key for entry in path]
    drawn = rng.standard_normal(leaf.shape)
    if names[-1] in ("kernel", "constant"):
      slow = "mapping" in names or "MappingNetwork_0" in names  # its layers' rate is a hundredth
      return jnp.asarray(drawn * (100 if slow else 1), jnp.float32)
    of_style = names[-2] == "EqualizedDense_0" and "synthesis" in names
    return jnp.asarray(0.1 * drawn + of_style, jnp.float32) if names[-1] == "bias" else zeros(leaf)

  def zeros(leaf):
    return jnp.zeros(leaf.shape, leaf.dtype)

  params, model_state = jax.eval_shape(network.init, jax.random.key(0))
  return jax.tree_util.tree_map_with_path(fill, params), jax.tree.map(zeros, model_state)


def tanh_gan(size: int = 2) -> Gan:
  """An affine generator of points and a discriminator with three tanh units."""

  def affine(key):
    return {"kernel": jax.random.normal(key, (size, size)), "bias": jnp.full((1, size), 0.3)}

  def units(key):
    return {"kernel": jax.random.normal(key, (size, 3)), "out": jnp.array([[1.0, -0.7, 0.4]])}

  def critic(params, images):
    return jnp.sum(jnp.tanh(images @ params["kernel"]) * params["out"], axis=-1)

  generator = network(affine, lambda params, z: z @ params["kernel"] + params["bias"])

  def sample(key):
    return jax.random.normal(key, (size,))

  return Gan(generator, network(units, critic), sample, (-1.0, 1.0))


def start(game: Game, seed: int = 0, **numbers) -> GanState:
  """The state before the first step; `numbers` replace those of games.NUMBERS."""
  return games.start(key(seed), game, **numbers)


def state_of(**numbers) -> GanState:
  """A state with such numbers and no players, for parts that read only these."""
  hyper = as_arrays(Hyperparameters(**numbers))
  return GanState(jnp.int32(0), hyper, None, None, {}, {})


def points(seed: int = 3):
  """A batch of four points in a plane, [1, 4, 2]."""
  return 1 + jax.random.normal(key(seed), (1, 4, 2))


def objective(game, step=0, **numbers):
  """(value, metrics) of the discriminator's objective on a tiny game at some step."""
  state = at_this_step(game, start(game, **numbers).replace(step=jnp.int32(step)))
  examples = Examples(points()[0], None)
  value, seen = discriminator_objective(state.discriminator.params, game, state, examples, key(7))
  return value, seen.metrics


def ring_samples(steps, latent_dim=8, **choices):
  """Latents [2500, Z] and samples [2500, 2] of a game, after steps of 256 points of the ring."""
  spec = gan.ModelSpec((2,), latent_dim=latent_dim, width=64)
  rates = {f"{player}_learning_rate": 1e-3 for player in ("generator", "discriminator")}
  players = gan.models.build("points", spec)._asdict()
  game = gan.Game(**players, **{"hyperparameters": rates} | choices)
  data = ring.load("train").images

  def step(state, _):
    chosen = jax.random.choice(jax.random.fold_in(keys[1], state.step), jnp.asarray(data), (256,))
    return game.step(state, chosen, keys[2])[0], None

  keys = jax.random.split(jax.random.key(0), 4)
  state, _ = jax.jit(lambda s: jax.lax.scan(step, s, None, length=steps))(game.init(keys[0]))
  latents = jax.vmap(game.sample_latent)(jax.random.split(keys[3], 2500))
  averaged = state.ema_params, state.ema_model_state
  samples, _ = game.generator.apply(*averaged, latents, train=False)
  return np.asarray(latents), np.asarray(samples)
