"""The landscape of GAN losses over n data points and n generated ones, as Sun et al. have it.

See "Towards a Better Global Loss Landscape of GANs" by Sun, Fang and Schwing
(https://arxiv.org/abs/2011.04926). A configuration is a tuple of places: `places[i]` is the data
point that the i-th generated sample lies on, or ELSEWHERE. Its value is minus the least loss of an
unconstrained discriminator, which the generator lowers.
"""

import functools
import itertools
import math
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from gan.losses import make_loss
from gan.theory.divergences import js, minimise

ELSEWHERE = -1
STATES = {
  "none": (ELSEWHERE, ELSEWHERE),
  "matched": (0, ELSEWHERE),
  "collapsed": (0, 0),
  "both": (0, 1),
}


def js_value(places: Sequence[int]) -> float:
  """JSD(p, q) - log 2: sup over D of the mean of log D and log(1 - D), in nats."""
  count = len(places)
  held = np.bincount([place % (count + 1) for place in places], minlength=count + 1)
  return _js_value(tuple(sorted(held[:-1])))


@functools.cache
def _js_value(held: tuple[np.integer, ...]) -> float:
  """The same of how many samples each data point holds, whichever point it is."""
  count = len(held)
  p, q = np.append(np.full(count, 1 / count), 0.0), np.append(held, count - sum(held)) / count
  return float(js(jnp.asarray(p), jnp.asarray(q))) - math.log(2.0)


def paired_value(places: Sequence[int]) -> float:
  """-(m/n) log 2, m the number of pairs (x_i, y_i) that lie on cycles of x_i -> y_i.

  sup over D of mean log s(D(x_i) - D(y_i)): along a path D can grow without end, around a cycle the
  differences sum to 0 and all are 0 at the best.
  """
  on_cycle = [_returns(places, start) for start in range(len(places))]
  return -sum(on_cycle) / len(places) * math.log(2.0)


def _returns(places: Sequence[int], start: int) -> bool:
  """Whether the walk i -> places[i] comes back to its start."""
  place = start
  for _ in places:
    place = places[place]
    if place in (start, ELSEWHERE):
      return place == start
  return False


def trained_value(loss: str, places: Sequence[int]) -> float:
  """Minus the least loss of a table of logits, one a point, trained by the project's loss.

  Args:
    loss: key of LOSSES, of one that pairs its examples or none.
    places: the configuration; ELSEWHERE is one further point.
  """
  count = len(places)
  functions = make_loss(loss)
  real = jnp.eye(count, count + 1)
  fake = jnp.eye(count + 1)[jnp.asarray([place % (count + 1) for place in places])]

  def mean_loss(table):
    return jnp.mean(functions.discriminator(real @ table, fake @ table))

  return -float(mean_loss(jax.jit(minimise, static_argnums=0)(mean_loss, jnp.zeros(count + 1))))


def local_minima(count: int) -> int:
  """Returns how many configurations on the data points are suboptimal strict local minima of JS.

  Each of the count^count ways to lay the samples on data points is held against every way to move
  some of them a little, which leaves the data. The paper has count^count - count!.
  """
  best = js_value(range(count))
  found = 0
  for places in itertools.product(range(count), repeat=count):
    value = js_value(places)
    near = (js_value(moved) for moved in _moved(places))
    found += value > best + 1e-9 and all(other > value + 1e-9 for other in near)
  return found


def _moved(places: Sequence[int]) -> Iterator[list[int]]:
  for kept in itertools.product((True, False), repeat=len(places)):
    if not all(kept):
      yield [place if keep else ELSEWHERE for place, keep in zip(places, kept, strict=True)]
