"""NDB: number of statistically different bins, after k-means has cut the data into bins."""

import numpy as np
from jaxtyping import Float
from scipy import special

from gan.errors import UserError
from gan.metrics.checks import check_pair


def ndb(
  train: Float[np.ndarray, "n d"],
  fake: Float[np.ndarray, "m d"],
  rng: np.random.Generator,
  *,
  bins: int = 100,
  significance: float = 0.05,
) -> tuple[float, float]:
  """Share of bins that fakes fill otherwise than data, and the divergence of the two histograms.

  NDB / K = mean_b 1[p_b < significance], p of the z-test of two shares with the pooled share, for
  bins b that are the K cells of k-means on the training data. Equal distributions differ in about
  `significance` of the bins, or fewer, as cells are laid to fit the training data; their divergence
  is near (K - 1) (1/N + 1/M) / 8.

  See "On GANs and GMMs" by Richardson and Weiss (https://arxiv.org/abs/1805.12462), and
  https://github.com/eitanrich/gans-n-gmms. Their bins are made in pixels, with an option to whiten
  them: subtract the mean and divide by the standard deviation of each dimension. This function
  takes pixels, whitened pixels or features as they come.

  Args:
    train: [N, D], training data, some hundred rows a bin.
    fake: [M, D], generated samples.
    rng: starts k-means.
    bins: K, 100 in the paper.
    significance: level of the tests, which are two-sided; 0.05 in the paper.

  Returns:
    NDB / K, in 0..1, and the Jensen-Shannon divergence in nats, in 0..log 2.

  Raises:
    UserError: fewer training rows than bins, NaN, or dimensions that differ.
  """
  train, fake = check_pair(train, fake)
  if bins < 2:
    raise UserError(f"bins is {bins}: choose at least 2, 100 are usual")
  if bins > len(train):
    raise UserError(
      f"there are {len(train)} real samples for {bins} bins: take at least {bins}; some "
      "hundred a bin are usual"
    )
  train_shares, fake_shares = bin_shares(train, fake, rng, bins)
  p_values = two_proportion_p_values(train_shares, len(train), fake_shares, len(fake))
  return float(np.mean(p_values < significance)), js_divergence(train_shares, fake_shares)


def bin_shares(
  train: Float[np.ndarray, "n d"],
  fake: Float[np.ndarray, "m d"],
  rng: np.random.Generator,
  bins: int,
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
  """Share of each set in the cells of k-means on the first.

  Args:
    train: [N, D], finite.
    fake: [M, D], finite.
    rng: starts k-means.
    bins: K, at most N.

  Returns:
    [K] and [K], each of sum 1.

  Raises:
    UserError: fewer different rows in `train` than bins.
  """
  from sklearn.cluster import KMeans

  seed = int(rng.integers(2**31))
  cells = KMeans(bins, n_init=1, max_iter=100, random_state=seed).fit(train)
  counts = np.bincount(cells.labels_, minlength=bins)
  if not counts.all():
    raise UserError(
      f"bins is {bins}, and the real samples have {np.count_nonzero(counts)} different rows: take "
      "other samples"
    )
  fake_counts = np.bincount(cells.predict(fake), minlength=bins)
  return counts / len(train), fake_counts / len(fake)


def two_proportion_p_values(
  first: Float[np.ndarray, " k"],
  first_count: int,
  second: Float[np.ndarray, " k"],
  second_count: int,
) -> Float[np.ndarray, " k"]:
  """Two-sided p of equal shares, z = (p - q) / sqrt(s (1 - s) (1/n + 1/m)), s the pooled share.

  Args:
    first: [K], shares p in 0..1.
    first_count: n, samples that they are shares of.
    second: [K], shares q.
    second_count: m.

  Returns:
    [K], 2 Phi(-|z|); 1 where both shares are 0 or both 1.
  """
  pooled = (first * first_count + second * second_count) / (first_count + second_count)
  error = np.sqrt(pooled * (1 - pooled) * (1 / first_count + 1 / second_count))
  z = np.divide(first - second, error, out=np.zeros_like(error), where=error > 0)
  return 2 * special.ndtr(-np.abs(z))


def js_divergence(first: Float[np.ndarray, " k"], second: Float[np.ndarray, " k"]) -> float:
  """Jensen-Shannon divergence, KL(p || m) / 2 + KL(q || m) / 2 with m = (p + q) / 2.

  Args:
    first: [K], p, of sum 1.
    second: [K], q, of sum 1.

  Returns:
    Nats, in 0..log 2.
  """
  middle = (first + second) / 2
  return float(np.sum(special.rel_entr(first, middle) + special.rel_entr(second, middle)) / 2)
