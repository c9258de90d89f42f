"""SAN: the last layer's direction learns to tell both sides apart, features by any loss."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan.errors import UserError
from gan.losses.base import About, Logits, Loss
from gan.losses.bce import NONSATURATING, SATURATING
from gan.losses.hinge import HINGE

NEEDS = ("features", "last_weight")


def direction(weight: Float[Array, " f"]) -> Float[Array, " f"]:
  """The direction of the last layer, w/|w|.

  Args:
    weight: [F], of any length; of 0 the direction is 0.
  """
  return weight / jnp.sqrt(jnp.sum(jnp.square(weight)) + 1e-24)


def projection(outputs: Any) -> Logits:
  """Features on the last layer's direction, <w/|w|, h>: what stands for logits in SAN.

  Its gradient does not reach w, so that penalties and regularisers of logits train features alone.

  Args:
    outputs: gan.Outputs with features [B, F] and last_weight [F].

  Returns:
    [B].
  """
  return outputs.features @ jax.lax.stop_gradient(direction(outputs.last_weight))


def sliced_discriminator_loss(loss: Loss, real: Any, fake: Any, **options: Any) -> Logits:
  """SAN's loss of D: the loss of <w/|w|, h> for h, and R of <w/|w|, h(x)> less R of it for w.

  R is the generator's loss of one logit: w is to tell the two sides apart as the generator weighs
  them, and for hinge, whose R is -f, it climbs the Wasserstein loss <w/|w|, h(x) - h(G(z))>. No
  gradient of the loss reaches w, and none of the difference reaches h.

  See "SAN: Inducing Metrizability of GAN with Discriminative Normalized Linear Layer" by Takida et
  al. (https://arxiv.org/abs/2301.12811), https://github.com/sony/san, and for losses other than
  hinge the same authors' https://github.com/sony/bigvsan, where least squares have a softplus in
  them, so that R falls everywhere.

  Args:
    loss: of logits.
    real: gan.Outputs of B examples of data, with features [B, F] and last_weight [F].
    fake: of generated samples.
    **options: those of the loss.

  Returns:
    [B], loss per example, not averaged.
  """
  along = direction(real.last_weight)
  held = jax.lax.stop_gradient(along)
  function = loss.discriminator(real.features @ held, fake.features @ held, **options)
  of_data, of_samples = (jax.lax.stop_gradient(side.features) @ along for side in (real, fake))
  apart = [loss.generator(of_data, each, **options) for each in (of_data, of_samples)]
  return function + (apart[0] - apart[1])


def sliced_generator_loss(loss: Loss, real: Any, fake: Any, **options: Any) -> Logits:
  """SAN's loss of G: that of the loss, of <w/|w|, h>. Arguments as of `sliced_discriminator_loss`.

  Returns:
    [B], loss per example, not averaged.
  """
  # Rules that look ahead differentiate it through updates of w.
  along = (each.features @ direction(each.last_weight) for each in (real, fake))
  return loss.generator(*along, **options)


def san(loss: Loss, about: About | None = None) -> Loss:
  """Returns the split of SAN for a loss: length and direction of D's last layer learn apart.

  D is <w/|w|, h(x)> without the layer's bias: the forward pass divides by |w|, so that no step has
  to normalise the weight again, and the length of features is theirs to learn.

  Args:
    loss: of two batches of logits, that draws those of data up and of samples down; its generator's
      loss should fall with a sample's logit. For one that compares samples with data the source
      has no form, and here data take the place of samples in it.
    about: what a page says of it.

  Raises:
    UserError: the loss is of more than logits already.

  Examples:
    >>> import gan
    >>> gan.losses.san(gan.LOSSES["lsgan"]).needs
    ('features', 'last_weight')
  """
  if beside := [*loss.needs, *["a state of its own"] * bool(loss.init)]:
    raise UserError(f"`loss` of san needs {', '.join(beside)}: give one of logits alone")
  return Loss(
    discriminator=functools.partial(sliced_discriminator_loss, loss),
    generator=functools.partial(sliced_generator_loss, loss),
    threshold=loss.threshold,
    about=about,
    options=loss.options,
    default_clip=loss.default_clip,
    needs=NEEDS,
    logit=projection,
  )


def _about(about: About | None) -> About:
  """What the registry says of a sliced loss; r and f are features on the direction.

  Args:
    about: what it says of the loss that is sliced.
  """
  assert about is not None, "losses of the registry are described"
  return About(
    discriminator=f"{about.discriminator}, for h; R(r) - R(f), R the loss of G, for w",
    generator=about.generator,
    optimum="no closed form: it depends on the features",
    divergence="no closed form; of hinge, a sliced distance of features where D is optimal",
    source=f"Takida et al. 2024, arXiv:2301.12811; {about.source}",
    use="where D's last layer should be the direction along which features of data and of samples "
    "differ most; the source reports gains from this change alone",
    experimental=True,
  )


SLICED_HINGE = san(HINGE, _about(HINGE.about))
SLICED_NONSATURATING = san(NONSATURATING, _about(NONSATURATING.about))
SLICED_SATURATING = san(SATURATING, _about(SATURATING.about))
