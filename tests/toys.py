"""Games small enough to be worked by hand, played by the project's own step."""

import math

import jax
import jax.extend.random
import jax.numpy as jnp
from jax.sharding import PartitionSpec as P

from gan.game import Batch, Game
from gan.losses import make_loss
from gan.networks import Gan, Network
from gan.optimizers import make_optimizer
from gan.penalties import make_penalty
from gan.state import GanState, Hyperparameters, init_state
from gan.train_step import make_train_step
from gan.update_rules import memories, wrap_optimizer

DEFAULTS = {
  "generator_learning_rate": 0.1,
  "discriminator_learning_rate": 0.1,
  "b1": 0.5,
  "b2": 0.999,
  "momentum": 0.0,
  "ema_decay": 0.9,
  "real_label": 1.0,
  "discriminator_loss_scale": 1.0,
  "weight_clip": 1.0,
  "penalty_weight": 0.0,
  "instance_noise": 0.0,
  "lecam_weight": 0.0,
}


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


def compiled(function):
  """`jax.jit` that compiles fast and runs slowly: tiny games spend their time in the compiler."""
  options = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
  return jax.jit(function, compiler_options=options)


def over_two_devices(step):
  """A step over (state, batch [K, B, ...], key), built with axis name "batch", on two devices."""
  mesh = jax.make_mesh((2,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
  specs = {"in_specs": (P(), P(None, "batch"), P()), "out_specs": (P(), P())}
  return jax.shard_map(step, mesh=mesh, check_vma=False, **specs)


def network(init_params, function) -> Network:
  """A network without state from `key -> params` and `(params, inputs) -> outputs`."""

  def apply(params, model_state, inputs, labels, *, train, key=None):
    del labels, train, key
    return function(params, inputs), model_state

  return Network(lambda key: (init_params(key), {}), apply)


def dirac_gan(theta: float, psi: float) -> Gan:
  """G(z) = theta and D(x) = psi x, the game of Mescheder et al. (arXiv 1801.04406)."""
  generator = network(lambda key: jnp.asarray(theta, float), lambda theta, z: 0 * z + theta)
  discriminator = network(lambda key: jnp.asarray(psi, float), lambda psi, x: psi * x[:, 0])
  return Gan(generator, discriminator, lambda key: jnp.zeros(1), (-1.0, 1.0))


def tanh_gan(size: int = 2) -> Gan:
  """An affine generator of points and a discriminator with three tanh units."""

  def affine(key):
    return {"kernel": jax.random.normal(key, (size, size)), "bias": jnp.full((1, size), 0.3)}

  def units(key):
    return {"kernel": jax.random.normal(key, (size, 3)), "out": jnp.array([[1.0, -0.7, 0.4]])}

  def critic(params, images):
    return jnp.sum(jnp.tanh(images @ params["kernel"]) * params["out"], axis=-1)

  generator = network(affine, lambda params, z: z @ params["kernel"] + params["bias"])
  sample = lambda key: jax.random.normal(key, (size,))  # noqa: E731
  return Gan(generator, network(units, critic), sample, (-1.0, 1.0))


def make_game(
  gan: Gan,
  *,
  loss: str = "nonsat",
  penalty: str = "none",
  update_rule: str = "alternating",
  optimizer: str = "sgd",
  axis_name=(),
  **choices,
) -> Game:
  """A Game as the experiments build it; `choices` are further fields of Game."""
  optimizers = (
    wrap_optimizer(update_rule, make_optimizer(optimizer, player))
    for player in ("generator", "discriminator")
  )
  return Game(
    gan,
    lambda hyper: make_loss(loss, real_label=hyper.real_label, axis_name=axis_name),
    *optimizers,
    lambda hyper, step: hyper,
    penalty=make_penalty(penalty, axis_name=axis_name),
    axis_name=axis_name,
    **choices,
  )


def start(game: Game, update_rule: str = "alternating", seed: int = 0, **numbers) -> GanState:
  """The state before the first step; `numbers` replace those of DEFAULTS."""
  hyper = Hyperparameters(
    **{name: jnp.asarray(value, float) for name, value in (DEFAULTS | numbers).items()}
  )
  return init_state(
    key(seed),
    game.gan,
    hyper,
    game.generator_optimizer,
    game.discriminator_optimizer,
    memories=memories(update_rule, lecam=game.lecam),
  )


def play(game: Game, update_rule: str, state: GanState, data, steps: int):
  """Plays `steps` steps on the same real examples [K, B, ...].

  Returns the last state, and of the state after each step (theta, psi) [steps, 2].
  """
  step = make_train_step(game, update_rule)

  def one(state, _):
    state, _ = step(state, Batch(data, None), key(1))
    return state, jnp.stack([state.generator.params, state.discriminator.params])

  return compiled(lambda state: jax.lax.scan(one, state, None, length=steps))(state)
