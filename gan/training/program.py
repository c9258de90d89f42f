"""What a game computes, in digests: names say little of what was passed.

Two lambdas have one name, and so have `optax.adam(2e-4)` and `optax.adam(1e-3)`. A digest is that
of the traced computation, its constants included, so it is equal in every process.
"""

import hashlib
import pathlib
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from gan.method.game import PLAYERS, Batch, Game
from gan.system import environment
from gan.training import parallel
from gan.training.build import DataInfo
from gan.training.config import Config
from gan.training.run_folder import differences

_NAMES = {"init": "initial values", "step": "loss, optimizer or another part of the step"}


def describe(
  game: Game, config: Config, info: DataInfo, names: tuple[str, ...] = (*PLAYERS, "init", "step")
) -> dict[str, dict[str, Any]]:
  """Returns the digests of the players, of init and of the step, and what traced them.

  Args:
    game: without mapped axes.
    config: its batches.
    info: of the data.
    names: what is traced.
  """
  key = jax.eval_shape(lambda: jax.random.key(0))
  shape = (config.discriminator_steps, config.batch_size)
  kind = jnp.uint8 if len(info.image_shape) == 3 else jnp.float32
  labels = jax.ShapeDtypeStruct(shape, jnp.int32) if game.num_classes else None
  batch = Batch(jax.ShapeDtypeStruct((*shape, *info.image_shape), kind), labels)
  state = jax.eval_shape(game.init, key)
  traced = {"init": (game.init, key), "step": (game.step, state, batch, key)}
  traced |= {name: _player(game, name, state, info.image_shape, labels) for name in PLAYERS}
  return {
    "traced_by": _traced_by(),
    "digests": {name: digest(*traced[name]) for name in names},
  }


def _player(game: Game, name: str, state: Any, image_shape: tuple, labels: Any) -> tuple:
  """A player on a row of examples, as samples are drawn: (function, arguments)."""
  latent = jax.eval_shape(game.sample_latent, jax.random.key(0)).shape
  *shape, channels = image_shape
  example = latent if name == "generator" else (*shape, game.packing * channels)
  inputs = jax.ShapeDtypeStruct((1, *example), jnp.float32)
  if labels is not None:
    labels = jax.ShapeDtypeStruct((1,), labels.dtype)
  network, player = getattr(game, name), getattr(state, name)

  def call(params: Any, model_state: Any, inputs: Any, labels: Any) -> Any:
    return network.apply(params, model_state, inputs, labels, train=False)[0]

  return call, player.params, player.model_state, inputs, labels


def _traced_by() -> dict[str, Any]:
  """What a trace of the same game depends on: versions, our own code, and what layers may ask."""
  code, package = hashlib.sha256(), pathlib.Path(__file__).resolve().parents[1]
  for path in sorted(package.rglob("*.py")):
    code.update(path.read_bytes())
  versions = environment.versions(environment.COMPUTING)
  return versions | {
    "gan": code.hexdigest()[:16],
    "backend": jax.default_backend(),
    "matmul_precision": jax.config.jax_default_matmul_precision,
  }


def incomparable(there: dict[str, Any]) -> str:
  """Returns a line on why digests of a run folder say nothing here, or "" where they do.

  Args:
    there: what `describe` returned when the folder was written.
  """
  if not (lines := differences(there["traced_by"], _traced_by())):
    return ""
  return (
    f"Whether the game computes what it did before cannot be told ({'; '.join(lines)}): its parts "
    "are compared by their names alone."
  )


def changed(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
  """Returns the names of the digests of `here` that are others there."""
  return [name for name, digest in here["digests"].items() if there["digests"].get(name) != digest]


def words(names: list[str]) -> str:
  """Returns what differs: the players where they do, which change the step and its start too."""
  own = [name for name in names if name in PLAYERS] or names
  return ", ".join(_NAMES.get(name, name) for name in own)


def digest(function: Callable, *like: Any) -> str:
  """Returns sha256 of what a function computes, as traced on arguments of these shapes."""
  # Players may average over the axis of several devices, which then is bound where they are.
  return _value(jax.make_jaxpr(function, axis_env=[(parallel.AXIS, 1)])(*like))


def _value(value: Any) -> str:
  """A constant or a parameter of an operation, in text that is equal in every process."""
  if isinstance(value, core.ClosedJaxpr):
    return _sha([_jaxpr(value.jaxpr), *map(_value, value.consts)])
  if isinstance(value, core.Jaxpr):
    return _jaxpr(value)
  if isinstance(value, (tuple, list)):
    return f"({', '.join(map(_value, value))})"
  if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
    return f"key {_value(jax.random.key_data(value))}"
  if isinstance(value, (jax.Array, np.ndarray, np.generic)):
    array = np.asarray(value)
    return f"{array.dtype}{array.shape} {_sha([array.tobytes().hex()])}"
  if callable(value):  # such as the derivative's rule, which a traced step has applied
    return getattr(value, "__qualname__", type(value).__name__)
  return re.sub(r"0x[0-9a-f]+", "", repr(value))


def _jaxpr(jaxpr: core.Jaxpr) -> str:
  numbers = {}  # of variables, in the order in which they appear

  def atom(one: Any) -> str:
    if isinstance(one, core.Literal):
      return f"{_value(np.asarray(one.val))}:{one.aval}"
    return f"{numbers.setdefault(one, len(numbers))}:{one.aval}"

  def atoms(several: Any) -> str:
    return " ".join(map(atom, several))

  lines = [atoms((*jaxpr.constvars, *jaxpr.invars))]
  for equation in jaxpr.eqns:
    # A function that is compiled apart may have any name.
    given = {name: _value(what) for name, what in equation.params.items() if name != "name"}
    lines.append(f"{equation.primitive} {sorted(given.items())} {atoms(equation.invars)}")
    lines.append(atoms(equation.outvars))
  return _sha([*lines, atoms(jaxpr.outvars)])


def _sha(lines: list[str]) -> str:
  return hashlib.sha256("\n".join(lines).encode()).hexdigest()
