"""The Dirac-GAN of Mescheder et al. (arXiv 1801.04406): its methods, trajectories and spectra.

G(z) = theta, D(x) = psi x, and the data are 0. Mescheder et al. write the gain of D as f(psi theta)
with f(t) = -log(1 + e^-t), which is ours for -psi: their (theta, psi) = (1, 1) is our (1, -1).
Their WGAN-GP pulls psi by lambda (|psi| - g0), the gradient of lambda/2 (|psi| - g0)^2: our weight
is half of their lambda.

Everything is played by the project's own losses, penalties and update rules; the closed forms that
it is compared with stand at the end.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gan.augment import make_instance_noise
from gan.method.game import Batch, Examples, Game
from gan.method.train_step import TrainStep
from gan.method.update_rules import UPDATE_RULES
from gan.method.updates import (
  apply_discriminator,
  apply_generator,
  discriminator_update,
  generator_update,
)
from gan.state import GanState
from gan.theory import games

RATE = 0.2  # of both players, as in the authors' notebook
START = (1.0, -1.0)
NOISE_SAMPLES = 1000  # a step of instance noise


class Method(NamedTuple):
  """How the game is played.

  Attributes:
    loss: key of LOSSES.
    penalty: key of PENALTIES.
    penalty_weight: factor on it.
    weight_clip: bound on |psi|.
    instance_noise: standard deviation of the noise on what D sees.
    consensus_weight: gamma of consensus optimisation.
  """

  loss: str
  penalty: str = "none"
  penalty_weight: float = 0.0
  weight_clip: float = float("inf")
  instance_noise: float = 0.0
  consensus_weight: float = 0.0


METHODS: dict[str, Method] = {
  "GAN": Method("sat"),
  "NSGAN": Method("nonsat"),
  "WGAN, clip 1": Method("wgan", weight_clip=1.0),
  "WGAN-GP": Method("wgan", "wgan_gp", 0.35),
  "DRAGAN 0.3": Method("sat", "dragan", 0.3),
  "instance noise 0.7": Method("sat", instance_noise=0.7),
  "R1 0.3": Method("sat", "r1", 0.3),
  "R1 1": Method("sat", "r1", 1.0),
  "R1 2": Method("sat", "r1", 2.0),
  "R2 0.3": Method("sat", "r2", 0.3),
  "NSGAN, R1 0.3": Method("nonsat", "r1", 0.3),
  "consensus 1": Method("sat", consensus_weight=1.0),
}


class _MethodArrays(NamedTuple):
  """A method as arrays [], so that one program plays many; stacked, [m]."""

  loss: Array  # its place in a list of names
  penalty: Array
  penalty_weight: Array
  weight_clip: Array
  instance_noise: Array
  consensus_weight: Array


def play(
  methods: Sequence[Method],
  schedule: str,
  steps: int,
  *,
  rate: float = RATE,
  discriminator_steps: int = 1,
  **choices,
) -> Float[np.ndarray, "methods steps 2"]:
  """Returns (theta, psi) after each step from START, of all methods in one compiled program.

  Args:
    methods: what is played.
    schedule: key of UPDATE_RULES, or of SCHEDULES.
    steps: how many.
    rate: learning rate of both players.
    discriminator_steps: updates of D in a step.
    **choices: further fields of Game.
  """

  def trajectory(arrays):
    state, step = _game(methods, arrays, schedule, START, rate, discriminator_steps, **choices)

    def one(state, _):
      state = step(state)
      return state, _point(state)

    return jax.lax.scan(one, state, None, length=steps)[1]

  return np.asarray(jax.jit(jax.vmap(trajectory))(_method_arrays(methods)))


def moduli(
  methods: Sequence[Method], schedule: str, *, discriminator_steps: int = 1
) -> Float[np.ndarray, "methods 2"]:
  """Returns |eigenvalues| of a step's derivative at the equilibrium (0, 0), largest first.

  The derivative is autodiff's, of the whole step. The game converges linearly where the largest is
  below 1, and where it is above 1 the equilibrium repels.
  """

  def jacobian(arrays):
    state, step = _game(methods, arrays, schedule, (0.0, 0.0), RATE, discriminator_steps)

    def operator(point):
      return _point(step(_moved(state, point)))

    return jax.jacobian(operator)(jnp.zeros(2))

  jacobians = np.asarray(jax.jit(jax.vmap(jacobian))(_method_arrays(methods)))
  return np.sort(np.abs(np.linalg.eigvals(jacobians)), axis=1)[:, ::-1]


def field(method: Method, points: Float[Array, "n 2"]) -> Float[np.ndarray, "n 2"]:
  """The velocity (theta', psi') of simultaneous play at each point, a step over its rate."""
  arrays = jax.tree.map(lambda leaf: leaf[0], _method_arrays([method]))
  schedule = "consensus" if method.consensus_weight else "simultaneous"
  state, step = _game([method], arrays, schedule)
  ahead = jax.jit(jax.vmap(lambda point: _point(step(_moved(state, point)))))(points)
  return np.asarray(ahead - points) / RATE


def _method_arrays(methods: Sequence[Method]) -> _MethodArrays:
  losses, penalties = _names(methods)
  rows = [
    _MethodArrays(losses.index(method.loss), penalties.index(method.penalty), *method[2:])
    for method in methods
  ]
  return _MethodArrays(*(jnp.asarray(values) for values in zip(*rows, strict=True)))


def _names(methods: Sequence[Method]) -> list[list[str]]:
  """The losses and the penalties that occur, all of which are compiled."""
  kinds = ("loss", "penalty")
  return [list(dict.fromkeys(getattr(method, kind) for method in methods)) for kind in kinds]


def _game(
  methods: Sequence[Method],
  arrays: _MethodArrays,
  schedule: str,
  point: tuple[float, float] = START,
  rate: float = RATE,
  discriminator_steps: int = 1,
  **choices: Any,
) -> tuple[GanState, Callable[[GanState], GanState]]:
  """Returns (state at the point, `state -> state`) of one of the methods."""
  losses, penalties = _names(methods)
  rule, make_step = SCHEDULES.get(schedule, (schedule, lambda game: game.step))
  noisy = any(method.instance_noise for method in methods)
  fields = {
    "clip_weights": True,
    "augment": make_instance_noise() if noisy else None,
    "loss": games.any_loss(arrays.loss, losses),
    "penalty": games.any_penalty(arrays.penalty, penalties),
  }
  own = set(UPDATE_RULES[rule].options) & set(arrays._fields)
  choices |= {name: getattr(arrays, name) for name in own}
  game = games.make_game(games.dirac_gan(*point), update_rule=rule, **choices).replace(**fields)
  names = ("penalty_weight", "weight_clip", "instance_noise")
  rates = {"generator_learning_rate": rate, "discriminator_learning_rate": rate}
  numbers = rates | {name: getattr(arrays, name) for name in names}
  state = games.start(jax.random.key(0), game, **numbers)
  step = make_step(game)
  batch = Batch(jnp.zeros((discriminator_steps, NOISE_SAMPLES if noisy else 1, 1)), None)
  return state, lambda state: step(state, batch, jax.random.key(1))[0]


def _point(state: GanState) -> Float[Array, "2"]:
  return jnp.stack([state.generator.params, state.discriminator.params])


def _moved(state: GanState, point: Float[Array, "2"]) -> GanState:
  """The state with (theta, psi) at a point."""
  return state.replace(
    generator=state.generator.replace(params=point[0]),
    discriminator=state.discriminator.replace(params=point[1]),
  )


def generator_first(game: Game) -> TrainStep:
  """A step of G, then k of D against the new G: the authors' alternating schedule.

  The rules of the project have no such order; the updates are theirs.
  """

  def step(state, batch, key):
    key = jax.random.fold_in(key, state.step)
    minibatches = [Examples(real, None) for real in batch.image]
    state = apply_generator(game, state, generator_update(game, state, minibatches[0], key))
    for examples in minibatches:
      state = apply_discriminator(game, state, discriminator_update(game, state, examples, key))
    return state.replace(step=state.step + 1), {}

  return step


def consensus_generator_first(game: Game) -> TrainStep:
  """The same with the gradients of consensus optimisation, of which each player takes its own."""
  consensus = game.step

  def step(state, batch, key):
    state = state.replace(generator=consensus(state, batch, key)[0].generator)
    state = state.replace(discriminator=consensus(state, batch, key)[0].discriminator)
    return state.replace(step=state.step + 1), {}

  return step


# Schedules beside UPDATE_RULES: the rule whose state they need, and `game -> step`.
SCHEDULES: dict[str, tuple[str, Callable[[Game], TrainStep]]] = {
  "generator_first": ("alternating", generator_first),
  "consensus_generator_first": ("consensus", consensus_generator_first),
}


# Closed forms.


def exact_moduli(
  slope: float, gamma: float, rate: float, discriminator_steps: int | None
) -> Float[np.ndarray, "2"]:
  """|eigenvalues| of a step at the equilibrium, by the linear game theta' = -s psi, psi' = s theta.

  The penalty adds -gamma psi to psi'. Simultaneous play is I + h V; alternating play is one step of
  G times D's step to the power k, whatever the order of the two.

  See "Which Training Methods for GANs do actually Converge?" by Mescheder et al.
  (https://arxiv.org/abs/1801.04406).

  Args:
    slope: s = f'(0), 1/2 of the cross-entropies, 1 of Wasserstein.
    gamma: weight of R1.
    rate: h, of both players.
    discriminator_steps: k of alternating play; None for simultaneous play.

  Returns:
    [2], largest first.
  """
  generator = np.array([[1.0, -rate * slope], [0.0, 1.0]])
  discriminator = np.array([[1.0, 0.0], [rate * slope, 1.0 - rate * gamma]])
  if discriminator_steps is None:
    operator = generator + discriminator - np.eye(2)
  else:
    operator = np.linalg.matrix_power(discriminator, discriminator_steps) @ generator
  return np.sort(np.abs(np.linalg.eigvals(operator)))[::-1]


def consensus_radius(second_term: float, *, alternating: bool = False, steps: int = 500) -> float:
  """The last radius under v - grad |v|^2 / 2 in numbers, v = (-psi, theta) f'(theta psi).

  |v|^2 / 2 = r^2 s^2 / 2 with s = f'(theta psi) has the derivative theta s^2 + psi r^2 s s' along
  theta. The notebook of Mescheder et al. (https://github.com/LMescheder/GAN_stability,
  notebooks/diracgan) has half of the second term.

  Args:
    second_term: factor on it, 1 for the gradient.
    alternating: G first, then D at the new theta.
    steps: from (1, 1), at RATE.
  """

  def velocity(theta, psi):
    s = 1 / (1 + np.exp(theta * psi))
    cross = second_term * (theta**2 + psi**2) * s * s * (s - 1)  # s' = s (s - 1)
    return -psi * s - theta * s**2 - psi * cross, theta * s - psi * s**2 - theta * cross

  theta = psi = 1.0
  for _ in range(steps):
    moved = theta + RATE * velocity(theta, psi)[0]
    psi += RATE * velocity(moved if alternating else theta, psi)[1]
    theta = moved
  return float(np.hypot(theta, psi))
