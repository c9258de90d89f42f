"""What a discriminator's logits tell of data and of samples: shares judged right, or a distance."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from gan.errors import UserError
from gan.losses import Loss, decides
from gan.metrics.base import Value


def discriminator_accuracy(
  loss: Loss, real_logits: Float[np.ndarray, " n"], fake_logits: Float[np.ndarray, " m"]
) -> Value:
  """Share of examples that the discriminator judges right, data and samples weighed equally.

  (mean_i 1[D(x_i) > t] + mean_j 1[D(y_j) < t])/2 with the threshold t of the loss: 0 for
  classifiers. It is 1/2 for a discriminator that tells nothing. A discriminator that knows training
  data by heart has a lower one on held-out data beside the same samples.

  See "Training Generative Adversarial Networks with Limited Data" by Karras et al.
  (https://arxiv.org/abs/2006.06676), figure 1, for how its logits part where data are few.

  Args:
    loss: of the discriminator, with its options bound; one that `decides`.
    real_logits: [N], of data.
    fake_logits: [M], of generated samples.

  Returns:
    The accuracy in 0..1, with the standard error of two binomial shares.

  Raises:
    UserError: the loss has no logit at which it decides; no logits, or some that are not finite.
  """
  if not decides(loss):
    raise UserError("the logits of this loss have no absolute zero: take `logit_difference`")
  real_logits, fake_logits = _checked(real_logits), _checked(fake_logits)
  over, under = loss.threshold(jnp.zeros(1), jnp.zeros(1))
  right = real_logits > np.asarray(over), fake_logits < np.asarray(under)
  return Value(float(np.mean([each.mean() for each in right])), _error(*right) / 2)


def logit_difference(
  real_logits: Float[np.ndarray, " n"], fake_logits: Float[np.ndarray, " m"]
) -> Value:
  """Mean logit of data less that of samples: of a critic, its estimate of K W1.

  mean_i D(x_i) - mean_j D(y_j), with the standard error of two independent means. Overfitting shows
  as a larger difference on training data than on held-out data.

  See "Wasserstein GAN" by Arjovsky et al. (https://arxiv.org/abs/1701.07875), equation 3.

  Args:
    real_logits: [N], of data, in units of the critic.
    fake_logits: [M], of generated samples.

  Raises:
    UserError: no logits, or some that are not finite.
  """
  real_logits, fake_logits = _checked(real_logits), _checked(fake_logits)
  difference = real_logits.mean() - fake_logits.mean()
  return Value(float(difference), _error(real_logits, fake_logits))


def overfitting(
  train_logits: Float[np.ndarray, " n"],
  held_out_logits: Float[np.ndarray, " h"],
  fake_logits: Float[np.ndarray, " m"],
) -> float:
  """How far held-out data look like samples to a discriminator, in units of its training data.

  (mean D(train) - mean D(held out)) / (mean D(train) - mean D(samples)): 0 where it does not tell
  held-out data from training data, 1 where it takes them for samples. It does not change where all
  logits are shifted or scaled, and is meant for any loss.

  See "Training Generative Adversarial Networks with Limited Data" by Karras et al., equation 1, r_v
  (https://arxiv.org/abs/2006.06676).

  Args:
    train_logits: [N], of training data.
    held_out_logits: [H], of data of the same kind.
    fake_logits: [M], of generated samples.

  Raises:
    UserError: no logits, or some that are not finite.
  """
  means = [_checked(each).mean() for each in (train_logits, held_out_logits, fake_logits)]
  with np.errstate(divide="ignore", invalid="ignore"):  # not a number where it tells nothing
    return float((means[0] - means[1]) / (means[0] - means[2]))


def _error(first, second):
  """The standard error of the sum or difference of two independent means."""
  return float(np.sqrt(first.var() / len(first) + second.var() / len(second)))


def _checked(logits):
  logits = np.asarray(logits, np.float64)
  if not len(logits) or not np.isfinite(logits).all():
    raise UserError(
      f"of {len(logits)} logits {np.count_nonzero(np.isfinite(logits))} are finite: all must be, "
      "and at least one is needed"
    )
  return logits
