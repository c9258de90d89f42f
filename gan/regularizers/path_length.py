"""Path length: a step of fixed size in the styles is to change the image by a fixed amount."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from gan.errors import UserError
from gan.networks import Gan
from gan.regularizers.base import Regularizer, Term, View
from gan.system.schema import check, check_whole, within

DECAY = 0.99  # of the running mean, in an update that computes lengths
EVERY = 4  # steps: "lazy" regularisation of the generator in the paper


def path_lengths(view: View) -> Float[Array, " b"]:
  """|J^T y| of each example, J the Jacobian of the image in its styles, y ~ N(0, I / (H W)).

  The square is summed over a style and averaged over the layers that styles go to.

  Args:
    view: of a generator with stages.

  Returns:
    [B].
  """
  assert view.stages is not None, "a generator without them is refused"
  map_latents, synthesise = view.stages
  styles = map_latents(view.latents)
  images, pull_back = jax.vjp(synthesise, styles)
  pixels = images.shape[1] * images.shape[2]
  directions = jax.vmap(lambda key: jax.random.normal(key, images.shape[1:]))(view.keys)
  (slopes,) = pull_back(directions / pixels**0.5)  # [B, L, S]
  return jnp.sqrt(jnp.mean(jnp.sum(jnp.square(slopes), axis=2), axis=1))


def make_path_length(
  *, path_length_decay: float = DECAY, path_length_every: int = EVERY
) -> Regularizer:
  """Returns the regulariser (|J^T y| - a)^2 of the generator, a the running mean of |J^T y|.

  The mean moves with updates of the discriminator, of the samples that they are shown, as what all
  regularisers keep does: about the same numbers as those that the generator's term has. The source
  computes the term on half of a batch, here it is on all of it.

  See "Analyzing and Improving the Image Quality of StyleGAN" by Karras et al., section 3.2
  (https://arxiv.org/abs/1912.04958).

  Args:
    path_length_decay: decay of the running mean of path lengths in an update, in [0, 1); it starts
      at 0.
    path_length_every: steps between computations of the term, which then weighs as much more
      (lazy regularisation); the mean moves on the same steps.

  Raises:
    UserError: the generator has no mapping network, when the state is made.
  """
  check("path_length_decay", path_length_decay, within(0, 1))
  check_whole("path_length_every", path_length_every, least=1)

  def is_due(view: View) -> Bool[Array, ""]:
    return view.step % path_length_every == 0

  def mean_where_due(view: View, function: Callable[[Array], Array]) -> Float[Array, ""]:
    return jax.lax.cond(
      is_due(view), lambda: jnp.mean(function(path_lengths(view))), lambda: jnp.zeros(())
    )

  def generator(view: View, mean: Float[Array, ""]) -> Term:
    value = mean_where_due(view, lambda lengths: jnp.square(lengths - mean))
    return path_length_every * value, {"path_length": value}

  def update(view: View, mean: Float[Array, ""]) -> Float[Array, ""]:
    now = jax.lax.pmean(mean_where_due(view, lambda lengths: lengths), view.axis_name)
    return jnp.where(is_due(view), now + path_length_decay * (mean - now), mean)

  def init(key: Key[Array, ""], gan: Gan) -> Float[Array, ""]:
    del key
    if gan.generator.stages is None:
      raise UserError(
        "`regularizers=path_length` is of a generator with a mapping network, and this one has "
        "none: choose `model=stylegan2`, or a Network with `stages`"
      )
    return jnp.zeros(())

  return Regularizer(init, generator=generator, update=update)
