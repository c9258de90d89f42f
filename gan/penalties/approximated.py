"""Penalties of a difference of two logits in the place of the gradient: one backward pass, not two.

The expectation of ((D(x + s e) - D(x)) / s)^2 over e ~ N(0, I) tends to |grad D(x)|^2 as s falls to
0, and is |w|^2 at any s where D(x) = w x + b; its variance over e is then 2 |w|^4.

An error of a logit, divided by s, is an error of the slope. In float32 the logits of a network of
ours differ from exact ones by about 1e-7 of the largest sums in it, and slopes by 1e-5 of that at
s = 0.01. bfloat16 keeps 8 bits: it rounds most of s e away as it is added to pixels near 1, and
logits of 1 to steps of 0.008, which is a slope of 0.8. So x + s e and the difference are taken in
float32 at least, and activations should be float32 too.

With activations that are linear in pieces a difference costs as many convolutions as the gradient:
what is saved is saved by taking a part of the batch.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from gan.penalties.base import Critic, Images, PerExample
from gan.system.schema import Kind, are_finite

SIDES = ("real", "fake")
SIGMA = 0.01
SHARE = 0.25  # as in the code of Adversarial Flow Models
STEP = Kind("a finite number above 0", lambda it: are_finite(it, math.nextafter(0, 1)))
PART = Kind(
  "a number above 0, and at most 1", lambda it: are_finite(it, math.nextafter(0, 1)) and it <= 1
)


def approx_r1_penalty(
  critic: Critic,
  real: Images,
  fake: Images,
  keys: Key[Array, " b"],
  *,
  approx_sigma: float = SIGMA,
  approx_share: float = SHARE,
) -> PerExample:
  """R1 along one direction, ((D(x + s e) - D(x)) / s)^2 / 2, e ~ N(0, I); the weight is gamma.

  After "Diffusion Adversarial Post-Training for One-Step Video Generation" by Lin et al.
  (https://arxiv.org/abs/2501.08316), in the form and with the constants of the code of GAT
  (https://github.com/hse1032/GAT).

  Args:
    critic: images [B, ...] -> logits [B], without influence of one example on another. The logits
      of the data that an AugmentedCritic holds are not computed again.
    real: [B, ...], data.
    fake: unused.
    keys: [B], one for each example, of its e.
    approx_sigma: s, length of the step in each pixel, in units of the image range.
    approx_share: of each device's examples, evenly spread, that the penalty is taken of; at least
      one.

  Returns:
    [B], penalty per example, not averaged: 0 of those that are left out, and as much more of the
    others.

  Examples:
    The mean over e of a linear critic of slope 3 is 3^2 / 2, whatever s is:

    >>> import gan, jax, jax.numpy as jnp
    >>> points, keys = jnp.ones((10_000, 1)), jax.random.split(jax.random.key(0), 10_000)
    >>> penalty = gan.penalties.make_penalty("approx_r1", approx_share=1.0)
    >>> round(float(penalty(lambda x: 3 * x[:, 0], points, points, keys).mean()), 1)
    4.5
  """

  def of(critic: Critic, real: Images, fake: Images, keys: Key[Array, " b"]) -> PerExample:
    del fake
    return _of_side("real", critic, real, keys, approx_sigma)

  return _of_share(of, approx_share, critic, real, fake, keys)


def approx_r2_penalty(
  critic: Critic,
  real: Images,
  fake: Images,
  keys: Key[Array, " b"],
  *,
  approx_sigma: float = SIGMA,
  approx_share: float = SHARE,
) -> PerExample:
  """R2 along one direction, ((D(G(z) + s e) - D(G(z))) / s)^2 / 2, e ~ N(0, I).

  See `approx_r1_penalty`; of samples in the place of data.
  """

  def of(critic: Critic, real: Images, fake: Images, keys: Key[Array, " b"]) -> PerExample:
    del real
    return _of_side("fake", critic, fake, keys, approx_sigma)

  return _of_share(of, approx_share, critic, real, fake, keys)


def approx_r1r2_penalty(
  critic: Critic,
  real: Images,
  fake: Images,
  keys: Key[Array, " b"],
  *,
  approx_sigma: float = SIGMA,
  approx_share: float = SHARE,
) -> PerExample:
  """`approx_r1` and `approx_r2` with one weight gamma, each with a direction of its own.

  See "GAT", https://arxiv.org/abs/2509.24935. Arguments are those of `approx_r1_penalty`.
  """
  known: Any = critic  # with the logits of the step, where this hands them over
  if getattr(known, "on_both", None) is None or known.real_logits is None:
    options = {"approx_sigma": approx_sigma, "approx_share": approx_share}
    parts = approx_r1_penalty, approx_r2_penalty
    return sum(each(critic, real, fake, keys, **options) for each in parts)

  def of(critic: Any, real: Images, fake: Images, keys: Key[Array, " b"]) -> PerExample:
    # One pass for what is near the data and near samples.
    near = [
      _near(images, keys, side, approx_sigma)
      for images, side in zip((real, fake), SIDES, strict=True)
    ]
    here = critic.real_logits, critic.fake_logits
    after = critic.on_both(*near)
    changes = [each - before for each, before in zip(after, here, strict=True)]
    return sum(_half_square(change, approx_sigma) for change in changes)

  return _of_share(of, approx_share, critic, real, fake, keys)


def _of_share(
  penalty: Callable[..., PerExample],
  share: float,
  critic: Critic,
  real: Images,
  fake: Images,
  keys: Key[Array, " b"],
) -> PerExample:
  """A penalty of a share of the rows, in the place of all, with the same expectation."""
  count = len(real)
  taken = math.ceil(share * count)
  if taken == count:
    return penalty(critic, real, fake, keys)
  rows = np.arange(taken) * count // taken
  part = getattr(critic, "part", None)
  values = penalty(part(rows) if part else critic, real[rows], fake[rows], keys[rows])
  return jnp.zeros(count, values.dtype).at[rows].set(values * (count / taken))


def _of_side(
  side: str, critic: Critic, images: Images, keys: Key[Array, " b"], sigma: float
) -> PerExample:
  """The penalty of data or of samples; logits that the critic holds are not computed again."""
  function = getattr(critic, f"on_{side}", critic)
  known = getattr(critic, f"{side}_logits", None)
  here = function(images) if known is None else known
  return _half_square(function(_near(images, keys, side, sigma)) - here, sigma)


def _near(images: Images, keys: Key[Array, " b"], side: str, sigma: float) -> Images:
  """x + s e, in float32 at least: data and samples have other directions."""
  kind = jnp.promote_types(images.dtype, jnp.float32)

  def draw(key: Key[Array, ""]) -> Array:
    return jax.random.normal(jax.random.fold_in(key, SIDES.index(side)), images.shape[1:], kind)

  return images.astype(kind) + sigma * jax.vmap(draw)(keys)


def _half_square(change: PerExample, sigma: float) -> PerExample:
  return jnp.square(change.astype(jnp.promote_types(change.dtype, jnp.float32)) / sigma) / 2
