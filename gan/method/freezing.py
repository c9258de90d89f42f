"""Layers of the discriminator that keep their parameters, those nearest to the image first.

See "Freeze the Discriminator: a Simple Baseline for Fine-Tuning GANs" by Mo et al.
(https://arxiv.org/abs/2002.10964): a discriminator that was trained on much data keeps its lower
layers while it learns of little.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from gan.errors import UserError
from gan.method.examples import examples_of
from gan.method.game import Game
from gan.networks import Network, Params


def layers(game: Game) -> tuple[tuple[str, ...], ...]:
  """Returns the layers of the discriminator in the order in which they act on the image.

  A layer is a part of the network with parameters of its own, named as in their tree: what it calls
  directly, such as a convolution or a whole residual block. Its place is that of the first
  operation that has both its parameters and what has become of the image. What holds no array of
  two axes or more, as a normalisation does, belongs to the layer before it.

  Args:
    game: whose discriminator it is.
  """
  _, (image, labels) = examples_of(game)
  return _layers(game.discriminator, image.shape, labels is not None)


def check(game: Game) -> None:
  """Raises UserError where more layers are to be frozen than there are."""
  if not game.freeze_d:
    return
  names = [" and ".join(layer) for layer in layers(game)]
  if game.freeze_d > len(names):
    raise UserError(
      f"`freeze_d={game.freeze_d}` is more than the {len(names)} layers of the discriminator "
      f"({', '.join(names)}): give at most {len(names)}"
    )


def held(game: Game, params: Params, before: Params) -> Params:
  """Returns parameters of the discriminator, those of its frozen layers as they were before."""
  return _of_frozen(game, lambda now, then: then, params, before)


def constant(game: Game, params: Params) -> Params:
  """Returns parameters of the discriminator, in whose frozen layers no gradient is taken."""
  return _of_frozen(game, jax.lax.stop_gradient, params)


def _of_frozen(game: Game, function: Any, params: Params, *others: Params) -> Params:
  """Applies a function to the arrays of frozen layers, of one tree or of several alike."""
  if not game.freeze_d:
    return params
  frozen = {name for layer in layers(game)[: game.freeze_d] for name in layer}
  depth = _depth(params)

  def each(path: tuple, leaf: Any, *same: Any) -> Any:
    return function(leaf, *same) if _name(path, depth) in frozen else leaf

  return jax.tree.map_with_path(each, params, *others)


def _depth(params: Params) -> int:
  """How many keys all paths of a tree begin with: a network may be one module around another."""
  paths = [path for path, _ in jax.tree.leaves_with_path(params)]
  depth = 0
  while all(len(path) > depth + 1 and path[depth] == paths[0][depth] for path in paths):
    depth += 1
  return depth


def _name(path: tuple, depth: int) -> str:
  return jax.tree_util.keystr(path[depth : depth + 1], simple=True)


@functools.lru_cache(maxsize=8)
def _layers(network: Network, shape: tuple[int, ...], labelled: bool) -> tuple:
  image = jax.ShapeDtypeStruct(shape, jnp.float32)
  labels = jax.ShapeDtypeStruct(shape[:1], jnp.int32) if labelled else None
  params, model_state = jax.eval_shape(network.init, jax.random.key(0), image, labels)
  paths, depth = jax.tree.leaves_with_path(params), _depth(params)
  names = [_name(path, depth) for path, _ in paths]

  def judge(image: Any, params: Any, model_state: Any, labels: Any) -> Any:
    return network.apply(params, model_state, image, labels, train=False)[0]

  traced = jax.make_jaxpr(judge)(image, params, model_state, labels).jaxpr
  others = len(jax.tree.leaves((model_state, labels)))
  met: dict[str, int] = {}
  _walk(traced, [None, *({name} for name in names), *[set()] * others], met)
  order = sorted(dict.fromkeys(names), key=lambda name: met.get(name, len(met)))
  matrices = {name for name, (_, leaf) in zip(names, paths, strict=True) if leaf.ndim > 1}
  found: list[tuple[str, ...]] = []
  for name in order:
    if name in matrices or not found:
      found.append((name,))
    else:
      found[-1] += (name,)
  return tuple(found)


def _walk(jaxpr: core.Jaxpr, given: list[set[str] | None], met: dict[str, int]) -> None:
  """Follows the image and the layers through a computation, into functions that it calls.

  Args:
    jaxpr: of a network, or of a part of one.
    given: of each of its arguments the layers that it is made of; None for the image.
    met: takes the place of each layer among those that meet the image, by its name.
  """
  made: dict[Any, set[str] | None] = dict(zip(jaxpr.invars, given, strict=True))
  for equation in jaxpr.eqns:
    inputs = [
      set() if isinstance(one, core.Literal) else made.get(one, set()) for one in equation.invars
    ]
    if seen := any(one is None for one in inputs):
      if inner := _called(equation):
        _walk(inner, inputs, met)
      for name in sorted(set().union(*(one for one in inputs if one))):
        met.setdefault(name, len(met))
    joined = None if seen else set().union(*inputs)
    made |= dict.fromkeys(equation.outvars, joined)


def _called(equation: core.JaxprEqn) -> core.Jaxpr | None:
  """The function that an equation calls with its own arguments, if it is such a call."""
  inner = [getattr(it, "jaxpr", it) for it in equation.params.values()]
  inner = [it for it in inner if isinstance(it, core.Jaxpr)]
  fits = len(inner) == 1 and len(inner[0].invars) == len(equation.invars)
  return inner[0] if fits else None
