"""Multi-hinge: one margin between the classes of the data and the class of all samples."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan.errors import UserError
from gan.networks import Outputs, at_least_float32
from gan.regularizers.base import Regularizer, Term, View


def margin_loss(scores: Float[Array, "b k"], labels: Int[Array, " b"]) -> Float[Array, " b"]:
  """Crammer and Singer's hinge loss, relu(1 + max over the other classes s_k - s_label).

  See "On the Algorithmic Implementation of Multiclass Kernel-based Vector Machines" by Crammer and
  Singer (https://www.jmlr.org/papers/v2/crammer01a.html).

  Args:
    scores: [B, K], unbounded; K at least 2.
    labels: [B], 0 .. K - 1.

  Returns:
    [B], loss per example, not averaged.
  """
  right = jax.nn.one_hot(labels, scores.shape[1], dtype=bool)
  best_other = jnp.max(jnp.where(right, -jnp.inf, scores), axis=1)
  return jax.nn.relu(1.0 + best_other - jnp.sum(jnp.where(right, scores, 0.0), axis=1))


def class_scores(outputs: Outputs) -> Float[Array, "b k"]:
  """Scores of the K classes of the data, and -D(x) for the last, K, that of samples: [B, K + 1]."""
  of_samples = -outputs.logits.reshape(-1, 1)
  return jnp.concatenate([at_least_float32(outputs.class_logits), of_samples], axis=1)


def make_multi_hinge() -> Regularizer:
  """Returns the multi-hinge loss of K + 1 classes, for both players.

  D learns the class of data and that samples are of the last class, whose score is minus its
  logit; G makes samples of their labels. It is beside the adversarial loss here, that of hinge for
  one; in "cGANs with Multi-Hinge Loss" by Kavalerov et al. (https://arxiv.org/abs/1912.04216) it
  takes the place of it, with a score for samples of its own.

  Raises:
    UserError: there are no labels, when a step is traced.
  """

  def of_labels(outputs: Outputs, labels: Int[Array, " b"] | None) -> Float[Array, " b"]:
    if labels is None:
      raise UserError("multi_hinge needs labels: give the game `num_classes`")
    return margin_loss(class_scores(outputs), labels)

  def discriminator(view: View, state: dict) -> Term:
    del state
    real = of_labels(view.real_outputs, view.labels)
    fake_scores = class_scores(view.fake_outputs)
    last = jnp.full(len(fake_scores), fake_scores.shape[1] - 1)
    right = jnp.argmax(class_scores(view.real_outputs), axis=1) == view.labels
    loss = real + margin_loss(fake_scores, last)
    metrics = {"discriminator": jnp.mean(loss), "accuracy": jnp.mean(right)}
    return loss, {f"multi_hinge_{name}": value for name, value in metrics.items()}

  def generator(view: View, state: dict) -> Term:
    del state
    loss = of_labels(view.fake_outputs, view.fake_labels)
    return loss, {"multi_hinge_generator": jnp.mean(loss)}

  return Regularizer(discriminator=discriminator, generator=generator, needs=("class_logits",))
