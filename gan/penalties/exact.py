"""Penalties of the gradient itself, by a backward pass that is differentiated in its turn."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from gan.penalties.base import Critic, Images, PerExample

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
  return squared_norms(gradients)


def squared_norms(gradients: Images) -> PerExample:
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
  return sum(map(squared_norms, gradients)) / 2


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


def max_gradient_penalty(
  critic: Critic, real: Images, fake: Images, keys: Key[Array, " b"], *, axis_name: Any = ()
) -> PerExample:
  """The steepest point between data and samples alone, max |grad D(x^)|^2, x^ as in `wgan_gp`.

  The maximum is that over the global batch; of a batch in parts, over each part. What is returned
  is 0 for all examples but the steepest, the first of equals, so that the mean over the global
  batch is the maximum.

  See "Lipschitz Generative Adversarial Nets" by Zhou et al. (https://arxiv.org/abs/1902.05687),
  and for the weight https://github.com/POSTECH-CVLab/PyTorch-StudioGAN.

  Args:
    critic: images [B, ...] -> logits [B], without influence of one example on another.
    real: [B, ...], data.
    fake: [B, ...], generated samples.
    keys: [B], one for each example.
    axis_name: mapped axes that hold the rest of the batch.

  Returns:
    [B], whose mean over the global batch is the penalty.
  """
  squares = gradient_squared_norm(critic, interpolate(real, fake, keys))
  # By places: a value that is computed anew for a comparison may be rounded otherwise.
  steepest = jnp.argmax(squares)
  maxima = jax.lax.all_gather(jax.lax.stop_gradient(squares[steepest]), axis_name)
  device = jax.lax.axis_index(axis_name)
  chosen = (jnp.arange(len(squares)) == steepest) & (jnp.argmax(maxima) == device)
  return jnp.where(chosen, jax.lax.psum(len(squares), axis_name) * squares, 0)
