"""Gradient penalties: pure functions of a discriminator, by the name that a user types.

A penalty is `(critic, real, fake, keys) -> [B]`. `critic` maps images [B, ...] to logits [B] and
treats every example apart; penalties come back per example, each from the norm of that example's
own gradient over all its pixels, and are averaged and weighted once, in the training step. There
`critic` is an AugmentedCritic.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from gan.errors import look_up
from gan.system.recipe import Recipe

Images = Float[Array, "b ..."]
PerExample = Float[Array, " b"]
Critic = Callable[[Images], PerExample]


class AugmentedCritic(NamedTuple):
  """A critic of raw images through the augmentation, with the very draws that D was shown.

  Called as a function it has the draws of the data: so do points between data and samples, or
  around data.

  Attributes:
    on_real: with the draws of the data.
    on_fake: with those of the samples.
    on_both: `(data, samples) -> logits of each`, in one call of a discriminator that mixes none;
      None for any other.
  """

  on_real: Critic
  on_fake: Critic
  on_both: Callable[[Images, Images], tuple[PerExample, PerExample]] | None = None

  def __call__(self, images: Images) -> PerExample:
    return self.on_real(images)


# Under the root, whose slope at 0 is infinite. It moves a norm of 1 by 5e-13 and one of 0 by 1e-6.
NORM_EPSILON = 1e-12


def gradient_squared_norm(critic: Critic, images: Images) -> PerExample:
  """Squared norm of each example's gradient, sum over pixels of (d D(x) / d x)^2.

  Args:
    critic: images [B, ...] -> logits [B], without influence of one example on another.
    images: [B, ...].

  Returns:
    [B].
  """
  # The logit of example i depends on example i alone: the gradient of the sum of all holds
  # the gradient of each, in one backward pass.
  gradients = jax.grad(lambda inputs: jnp.sum(critic(inputs)))(images)  # [B, ...]
  return _squared_norms(gradients)


def _squared_norms(gradients: Images) -> PerExample:
  return jnp.sum(jnp.square(gradients), axis=tuple(range(1, gradients.ndim)))


def gradient_norm(critic: Critic, images: Images) -> PerExample:
  """Norm of each example's gradient, sqrt(gradient_squared_norm + 1e-12).

  Args:
    critic: images [B, ...] -> logits [B], without influence of one example on another.
    images: [B, ...].

  Returns:
    [B], with a finite gradient everywhere.
  """
  return jnp.sqrt(gradient_squared_norm(critic, images) + NORM_EPSILON)


def interpolate(real: Images, fake: Images, keys: Key[Array, " b"]) -> Images:
  """Points between pairs, e x + (1 - e) G(z), with one e ~ U[0, 1) for each example.

  Args:
    real: [B, ...], data.
    fake: [B, ...], generated samples.
    keys: [B], one for each example.

  Returns:
    [B, ...].
  """
  share = jax.vmap(lambda key: jax.random.uniform(key, (), real.dtype))(keys)
  share = share.reshape(-1, *[1] * (real.ndim - 1))  # [B, 1, ...]
  return share * real + (1 - share) * fake


def wgan_gp_penalty(
  critic: Critic, real: Images, fake: Images, keys: Key[Array, " b"]
) -> PerExample:
  """Two-sided penalty between data and samples, (|grad D(x^)| - 1)^2, x^ = e x + (1 - e) G(z).

  See "Improved Training of Wasserstein GANs" by Gulrajani et al., equation 3 and Algorithm 1
  (https://arxiv.org/abs/1704.00028).

  Args:
    critic: images [B, ...] -> logits [B], without influence of one example on another.
    real: [B, ...], data.
    fake: [B, ...], generated samples.
    keys: [B], one for each example.

  Returns:
    [B], penalty per example, not averaged.
  """
  return jnp.square(gradient_norm(critic, interpolate(real, fake, keys)) - 1)


def wgan_lp_penalty(
  critic: Critic, real: Images, fake: Images, keys: Key[Array, " b"]
) -> PerExample:
  """One-sided penalty between data and samples, max(0, |grad D(x^)| - 1)^2, x^ as in `wgan_gp`.

  See "On the regularization of Wasserstein GANs" by Petzka et al.
  (https://arxiv.org/abs/1709.08894).

  Arguments and what it returns are those of `wgan_gp_penalty`.
  """
  return jnp.square(jax.nn.relu(gradient_norm(critic, interpolate(real, fake, keys)) - 1))


def zero_centred_penalty(
  critic: Critic, real: Images, fake: Images, keys: Key[Array, " b"]
) -> PerExample:
  """Zero-centred penalty between data and samples, |grad D(x^)|^2, x^ as in `wgan_gp`.

  See "Improving Generalization and Stability of Generative Adversarial Networks" by Thanh-Tung
  et al. (https://arxiv.org/abs/1902.03984).

  Arguments and what it returns are those of `wgan_gp_penalty`.
  """
  return gradient_squared_norm(critic, interpolate(real, fake, keys))


def r1_penalty(critic: Critic, real: Images, fake: Images, keys: Key[Array, " b"]) -> PerExample:
  """Zero-centred penalty on data, |grad D(x)|^2 / 2; the weight is gamma.

  See "Which Training Methods for GANs do actually Converge?" by Mescheder et al., equation 9
  (https://arxiv.org/abs/1801.04406).

  Args:
    critic: images [B, ...] -> logits [B], without influence of one example on another.
    real: [B, ...], data.
    fake: unused.
    keys: unused.

  Returns:
    [B], penalty per example, not averaged.

  Examples:
    >>> import gan, jax, jax.numpy as jnp
    >>> points, keys = jnp.ones((2, 3)), jax.random.split(jax.random.key(0), 2)
    >>> gan.r1_penalty(lambda x: 3 * x[:, 0], points, points, keys)
    Array([4.5, 4.5], dtype=float32)
  """
  del fake, keys
  return gradient_squared_norm(critic, real) / 2


def r2_penalty(critic: Critic, real: Images, fake: Images, keys: Key[Array, " b"]) -> PerExample:
  """Zero-centred penalty on samples, |grad D(G(z))|^2 / 2; the weight is gamma.

  See "Which Training Methods for GANs do actually Converge?" by Mescheder et al., equation 10
  (https://arxiv.org/abs/1801.04406).

  Args:
    critic: images [B, ...] -> logits [B], without influence of one example on another.
    real: unused.
    fake: [B, ...], generated samples.
    keys: unused.

  Returns:
    [B], penalty per example, not averaged.
  """
  del real, keys
  return gradient_squared_norm(getattr(critic, "on_fake", critic), fake) / 2


def r1r2_penalty(critic: Critic, real: Images, fake: Images, keys: Key[Array, " b"]) -> PerExample:
  """R1 and R2 with one weight gamma, (|grad D(x)|^2 + |grad D(G(z))|^2) / 2.

  See "The GAN is dead; long live the GAN! A Modern Baseline GAN" by Huang et al.
  (https://arxiv.org/abs/2501.05441).

  Args:
    critic: images [B, ...] -> logits [B], without influence of one example on another.
    real: [B, ...], data.
    fake: [B, ...], generated samples.
    keys: unused.

  Returns:
    [B], penalty per example, not averaged.
  """
  both = getattr(critic, "on_both", None)
  if both is None:
    return r1_penalty(critic, real, fake, keys) + r2_penalty(critic, real, fake, keys)
  # One backward pass for both.
  gradients = jax.grad(lambda *images: sum(map(jnp.sum, both(*images))), argnums=(0, 1))(real, fake)
  return sum(map(_squared_norms, gradients)) / 2


def dragan_penalty(
  critic: Critic, real: Images, fake: Images, keys: Key[Array, " b"], *, axis_name: Any = ()
) -> PerExample:
  """Two-sided penalty around data, (|grad D(x + a n)| - 1)^2, n = std(batch) U[0, .5) per pixel.

  std is one number, over all pixels of the global batch; a ~ U[0, 1) is one number per example, as
  in the authors' notebook, which draws between each example and its perturbed copy.

  See "On Convergence and Stability of GANs" by Kodali et al. (https://arxiv.org/abs/1705.07215),
  https://github.com/kodalinaveen3/DRAGAN.

  Args:
    critic: images [B, ...] -> logits [B], without influence of one example on another.
    real: [B, ...], data.
    fake: unused.
    keys: [B], one for each example.
    axis_name: mapped axes that hold the rest of the batch.

  Returns:
    [B], penalty per example, not averaged.
  """
  del fake
  mean = jax.lax.pmean(jnp.mean(real), axis_name)
  standard_deviation = jnp.sqrt(jax.lax.pmean(jnp.mean(jnp.square(real - mean)), axis_name))
  noise_keys, share_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
  draw = functools.partial(jax.random.uniform, shape=real.shape[1:], dtype=real.dtype)
  perturbed = real + 0.5 * standard_deviation * jax.vmap(draw)(noise_keys)
  return jnp.square(gradient_norm(critic, interpolate(perturbed, real, share_keys)) - 1)


class Penalty(NamedTuple):
  """A gradient penalty and what is known about it; called `(critic, real, fake, keys) -> [B]`.

  Attributes:
    function: `(critic, real, fake, keys) -> [B]`, or None.
    default_weight: lambda, or gamma, of the source.
    formula: what is averaged and weighted; x is data, G(z) a sample, x^ a point between the two.
    source: paper.
    keywords: keyword-only arguments of the function.
    options: fields of a config that it reads.
    recipe: the call of `make_penalty` that bound options, or None.

  Examples:
    >>> import gan, jax, jax.numpy as jnp
    >>> def slope(critic, real, fake, keys):
    ...   return jnp.abs(jax.grad(lambda x: critic(x).sum())(real)).sum(axis=1)
    >>> penalty = gan.Penalty(slope, 0.1, "|grad D(x)|_1", "own")
    >>> points, keys = jnp.ones((2, 3)), jax.random.split(jax.random.key(0), 2)
    >>> penalty(lambda x: 3 * x[:, 0], points, points, keys)
    Array([3., 3.], dtype=float32)
  """

  function: Callable[..., PerExample] | None
  default_weight: float
  formula: str
  source: str
  keywords: tuple[str, ...] = ()
  options: tuple[str, ...] = ("penalty_weight", "penalty_every")
  recipe: Recipe | None = None

  def __call__(
    self, critic: Critic, real: Images, fake: Images, keys: Key[Array, " b"]
  ) -> PerExample:
    """The penalty of each example, before its weight."""
    return self.function(critic, real, fake, keys)


PENALTIES: dict[str, Penalty] = {
  "none": Penalty(None, 0.0, "0", "", options=()),
  "wgan_gp": Penalty(
    wgan_gp_penalty, 10.0, "(|grad D(x^)| - 1)^2", "Gulrajani et al. 2017, arXiv:1704.00028"
  ),
  "wgan_lp": Penalty(
    wgan_lp_penalty, 10.0, "max(0, |grad D(x^)| - 1)^2", "Petzka et al. 2018, arXiv:1709.08894"
  ),
  "gp0": Penalty(
    zero_centred_penalty, 10.0, "|grad D(x^)|^2", "Thanh-Tung et al. 2019, arXiv:1902.03984"
  ),
  "r1": Penalty(r1_penalty, 10.0, "|grad D(x)|^2/2", "Mescheder et al. 2018, arXiv:1801.04406"),
  "r2": Penalty(r2_penalty, 10.0, "|grad D(G(z))|^2/2", "Mescheder et al. 2018, arXiv:1801.04406"),
  "r1r2": Penalty(
    r1r2_penalty,
    1.0,  # stacked MNIST; 0.05 on CIFAR-10
    "(|grad D(x)|^2 + |grad D(G(z))|^2)/2",
    "Huang et al. 2024, arXiv:2501.05441",
  ),
  "dragan": Penalty(
    dragan_penalty,
    10.0,
    "(|grad D(x + a n)| - 1)^2, n ~ std(batch) U[0, .5)",
    "Kodali et al. 2017, arXiv:1705.07215",
    keywords=("axis_name",),
  ),
}


def make_penalty(name: str, **options) -> Penalty | None:
  """The penalty of that name with its options bound, called `(critic, real, fake, keys) -> [B]`.

  Options that the penalty does not take are left aside: the caller can pass all it has.

  Args:
    name: key of PENALTIES.
    **options: axis_name; see the functions.

  Returns:
    The Penalty, or None for "none".

  Raises:
    UserError: if no penalty has the name.
  """
  penalty = look_up(PENALTIES, name, "penalty")
  if penalty.function is None:
    return None
  bound = with_options(penalty, **options)
  recipe = Recipe(make_penalty, {"name": name} | options)
  return penalty if bound is penalty else bound._replace(recipe=recipe)


def with_options(
  penalty: Penalty | Callable[..., PerExample], **options
) -> Penalty | Callable[..., PerExample]:
  """A penalty with its options bound; a function as it is.

  Args:
    penalty: a Penalty, or `(critic, real, fake, keys) -> [B]`.
    **options: axis_name; those that it does not take are left aside.
  """
  if not isinstance(penalty, Penalty):
    return penalty
  taken = {*penalty.keywords, *penalty.options} - {"penalty_weight", "penalty_every"}  # the step's
  if not (bound := {option: value for option, value in options.items() if option in taken}):
    return penalty
  left = [
    tuple(name for name in names if name not in bound)
    for names in (penalty.keywords, penalty.options)
  ]
  function = functools.partial(penalty.function, **bound)
  return penalty._replace(function=function, keywords=left[0], options=left[1])
