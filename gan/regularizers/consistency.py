"""Consistency: an image and its shifted mirror image, or close latents, are to get equal logits."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from gan.augment.real import crop, mirror
from gan.errors import UserError
from gan.networks import pack
from gan.penalties import Critic
from gan.regularizers.base import Regularizer, Term, View
from gan.system.schema import check, within

SHARE = 8  # of the side by which T shifts an image at most

Images = Float[Array, "b ..."]
Keys = Key[Array, " b"]


def flip_and_shift(images: Images, keys: Keys) -> Images:
  """T(x): each image flipped with probability 1/2 and shifted, its border reflected.

  Args:
    images: [B, H, W, C]; shifts are whole pixels, uniform up to an eighth of the smaller side.
    keys: [B], one for each image.

  Raises:
    UserError: they are points.
  """
  if images.ndim != 4:
    raise UserError(
      "`regularizers`: cr and bcr flip and shift images, and these are points: leave them out, or "
      "take zcr"
    )
  for_mirror, for_crop = jax.vmap(jax.random.split)(keys).T
  return crop(mirror(images, for_mirror), for_crop, min(images.shape[1:3]) // SHARE)


def inconsistency(critic: Critic, examples: Images, others: Images) -> Float[Array, " b"]:
  """(D(x) - D(x'))^2 of each example.

  Args:
    critic: examples [B, ...] -> logits [B].
    examples: [B, ...], x.
    others: [B, ...], x', the same changed a little.
  """
  return jnp.square(critic(examples) - critic(others))


def _of_images(view: View, critic: Critic, images: Images, keys: Keys) -> Float[Array, ""]:
  """The mean inconsistency of images and T of them, in rows as D judges them."""
  return jnp.mean(inconsistency(critic, *_packed(view, images, flip_and_shift(images, keys))))


def _packed(view: View, *examples: Images) -> list[Float[Array, "r ..."]]:
  packing = len(view.real) // len(view.shown_real)
  return [pack(each, packing) for each in examples]


def make_cr() -> Regularizer:
  """Returns consistency regularisation, (D(x) - D(T(x)))^2 on data, of the discriminator.

  T is `flip_and_shift`. D is judged as penalties judge it: without dropout and by running
  statistics. Under an augmentation A it is A(x) beside A(T(x)), by the same draws of A.

  See "Consistency Regularization for Generative Adversarial Networks" by Zhang et al.
  (https://arxiv.org/abs/1910.12027).

  Raises:
    UserError: the data are points, in the first step.
  """

  def discriminator(view: View, state: dict) -> Term:
    del state
    value = _of_images(view, view.critic.on_real, view.real, view.keys)
    return value, {"cr": value}

  return Regularizer(discriminator=discriminator)


def make_bcr(*, bcr_fakes_scale: float = 1.0) -> Regularizer:
  """Returns balanced consistency, that of `cr` and (D(G(z)) - D(T(G(z))))^2, for D alone.

  See "Improved Consistency Regularization for GANs" by Zhao et al., section 2.1
  (https://arxiv.org/abs/2002.04724). T and D are as in `cr`.

  Args:
    bcr_fakes_scale: factor on the term of samples beside the regulariser's weight.

  Raises:
    UserError: the scale is below 0; the data are points, in the first step.
  """
  check("bcr_fakes_scale", bcr_fakes_scale, within(0))

  def discriminator(view: View, state: dict) -> Term:
    del state
    of_real, of_fake = jax.vmap(jax.random.split)(view.keys).T
    real = _of_images(view, view.critic.on_real, view.real, of_real)
    fake = _of_images(view, view.critic.on_fake, view.fake, of_fake)
    return real + bcr_fakes_scale * fake, {"bcr": real, "bcr_fakes": fake}

  return Regularizer(discriminator=discriminator)


def make_zcr(*, zcr_noise: float = 0.05, zcr_generator_scale: float = 0.025) -> Regularizer:
  """Returns latent consistency: D is to ignore a small step of the latent, G to show it.

  D minimises (D(G(z)) - D(G(z + e)))^2, and G minimises -zcr_generator_scale |G(z) - G(z + e)|^2,
  the mean over pixels, with e ~ N(0, zcr_noise^2 I). D is judged as in `cr`.

  See "Improved Consistency Regularization for GANs" by Zhao et al., section 2.2
  (https://arxiv.org/abs/2002.04724).

  Args:
    zcr_noise: standard deviation of the step, in units of the latent.
    zcr_generator_scale: factor on G's term beside the regulariser's weight: 0.5 over 20.

  Raises:
    UserError: a number is below 0.
  """
  check("zcr_noise", zcr_noise, within(0))
  check("zcr_generator_scale", zcr_generator_scale, within(0))

  def moved(view: View) -> Images:
    draw = jax.vmap(lambda key: jax.random.normal(key, view.latents.shape[1:]))
    return view.generate(view.latents + zcr_noise * draw(view.keys))

  def discriminator(view: View, state: dict) -> Term:
    del state
    value = jnp.mean(inconsistency(view.critic.on_fake, *_packed(view, view.fake, moved(view))))
    return value, {"zcr": value}

  def generator(view: View, state: dict) -> Term:
    del state
    distance = jnp.mean(jnp.square(view.fake - moved(view)))
    return -zcr_generator_scale * distance, {"zcr_generator": distance}

  return Regularizer(discriminator=discriminator, generator=generator)
