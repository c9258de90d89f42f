"""Parzen-window log-likelihood, the score of the first GAN paper."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from gan.errors import UserError
from gan.metrics.checks import check_features, check_pair

BANDWIDTHS = np.logspace(-1, 0, 10)  # for pixels in [0, 1]
WORKING_MEMORY = 16.0  # MiB for a block of distances


class ParzenLikelihood(NamedTuple):
  """Score of the test examples.

  Attributes:
    mean: log-likelihood per test example, in nats.
    standard_error: of that mean over test examples, in nats; it says nothing of other seeds.
    bandwidth: sigma.
  """

  mean: float
  standard_error: float
  bandwidth: float


def parzen_log_likelihood(
  samples: Float[np.ndarray, "n d"],
  validation: Float[np.ndarray, "v d"],
  test: Float[np.ndarray, "t d"],
  *,
  bandwidths: Float[np.ndarray, " s"] = BANDWIDTHS,
) -> ParzenLikelihood:
  """Mean log-density of test data under Gaussians of one width around generated samples.

  log p(x) = log mean_i exp(-|x - mu_i|^2 / (2 sigma^2)) - D log(sigma sqrt(2 pi)), with the sigma
  that gives validation data the largest mean. For MNIST the authors' code takes 10,000 samples,
  1,000 validation images and pixels in [0, 1], and the paper reports 225 for its GAN. Higher is not
  better without end: centroids of k-means score above the data itself.

  See "Generative Adversarial Networks" by Goodfellow et al. (https://arxiv.org/abs/1406.2661),
  `parzen_ll.py` of https://github.com/goodfeli/adversarial, and "A note on the evaluation of
  generative models" by Theis et al. (https://arxiv.org/abs/1511.01844) on what the score misses.

  Args:
    samples: [N, D], generated; the centres mu.
    validation: [V, D], data to choose sigma on, in the scale of the samples.
    test: [T, D], other data, T >= 2, in the same scale.
    bandwidths: [S], sigmas to choose from, in the units of the data.

  Returns:
    Mean and its standard error in nats, and sigma.

  Raises:
    UserError: NaN, no samples, dimensions that differ, or a bandwidth that is not above 0.
  """
  bandwidths = np.asarray(bandwidths, np.float64)
  if bandwidths.size == 0 or not (np.isfinite(bandwidths) & (bandwidths > 0)).all():
    raise UserError(f"bandwidths are {bandwidths.tolist()}: give one or more numbers above 0")
  validation, samples = check_pair(check_features("validation", validation), samples)
  test, samples = check_pair(check_features("test", test, 2), samples)
  choices = log_densities(samples, validation, bandwidths).mean(axis=1)  # [S]
  bandwidth = bandwidths[np.argmax(choices)]
  scores = log_densities(samples, test, bandwidth[np.newaxis])[0]  # [T]
  error = scores.std() / np.sqrt(len(scores))
  return ParzenLikelihood(float(scores.mean()), float(error), float(bandwidth))


def log_densities(
  centres: Float[np.ndarray, "n d"],
  points: Float[np.ndarray, "p d"],
  bandwidths: Float[np.ndarray, " s"],
  *,
  working_memory: float = WORKING_MEMORY,
) -> Float[np.ndarray, "s p"]:
  """Log-density of points for every width, with each distance computed once for all widths.

  Args:
    centres: [N, D], finite.
    points: [P, D], finite.
    bandwidths: [S], sigmas, above 0.
    working_memory: MiB for a block of distances; a block has at least one point.

  Returns:
    [S, P], nats.
  """
  from sklearn.metrics import pairwise_distances_chunked

  blocks = pairwise_distances_chunked(points, centres, squared=True, working_memory=working_memory)
  kernels = np.concatenate([log_mean_kernels(block, bandwidths) for block in blocks], axis=1)
  volume = centres.shape[1] * np.log(bandwidths * np.sqrt(2 * np.pi))  # [S]
  return kernels - volume[:, np.newaxis]


def log_mean_kernels(
  squares: Float[np.ndarray, "p n"], bandwidths: Float[np.ndarray, " s"]
) -> Float[np.ndarray, "s p"]:
  """Log of the mean kernel of each row, log mean_i exp(-d_i^2 / (2 sigma^2)).

  Args:
    squares: [P, N], squared distances d^2.
    bandwidths: [S], sigmas, above 0.

  Returns:
    [S, P].
  """
  smallest = squares.min(axis=1)  # [P]
  excess = squares - smallest[:, np.newaxis]  # with a 0 in each row, so no sum of exp vanishes
  scales = -0.5 / np.square(bandwidths)  # [S]
  return np.stack(
    [np.log(np.exp(scale * excess).mean(axis=1)) + scale * smallest for scale in scales]
  )
