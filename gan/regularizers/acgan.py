"""AC-GAN: the discriminator's class head learns the classes of data, the generator makes them."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan.regularizers.base import Regularizer, Term, View


def cross_entropy(
  class_logits: Float[Array, "b classes"], labels: Int[Array, " b"]
) -> Float[Array, " b"]:
  """Cross-entropy, -log softmax(class_logits)[label], of each example, in nats.

  Args:
    class_logits: [B, classes], of an auxiliary classifier.
    labels: [B], 0 .. classes - 1.
  """
  log_probabilities = jax.nn.log_softmax(class_logits)
  return -jnp.take_along_axis(log_probabilities, labels.reshape(-1, 1), axis=1)[:, 0]


def make_acgan(*, acgan_fakes: bool = False, acgan_generator_scale: float = 0.1) -> Regularizer:
  """Returns the class loss of an auxiliary classifier, -log C(y | x), for both players.

  D minimises it on data, and G, times `acgan_generator_scale`, on what it makes of the labels. So
  it is in the code of WGAN-GP (https://github.com/igul222/improved_wgan_training). In "Conditional
  Image Synthesis With Auxiliary Classifier GANs" by Odena, Olah and Shlens
  (https://arxiv.org/abs/1610.09585) D minimises it on both, and G's scale is 1.

  Args:
    acgan_fakes: whether D learns the classes of generated examples too.
    acgan_generator_scale: factor on G's class loss beside the regulariser's weight.
  """

  def discriminator(view: View, state: dict) -> Term:
    del state
    real, fake = view.real_outputs.class_logits, view.fake_outputs.class_logits
    loss = cross_entropy(real, view.labels)
    right = jnp.argmax(real, axis=-1) == view.labels
    metrics = {"acgan_discriminator": jnp.mean(loss), "acgan_accuracy": jnp.mean(right)}
    if acgan_fakes:
      loss += cross_entropy(fake, view.fake_labels)
    return loss, metrics

  def generator(view: View, state: dict) -> Term:
    del state
    loss = cross_entropy(view.fake_outputs.class_logits, view.fake_labels)
    return acgan_generator_scale * loss, {"acgan_generator": jnp.mean(loss)}

  return Regularizer(discriminator=discriminator, generator=generator, needs=("class_logits",))
