"""Kernel distance of features (KID with Inception features): unbiased, with a standard error."""

import numpy as np
from jaxtyping import Float

from gan.errors import UserError
from gan.metrics.checks import check_pair

# The error of a cubic kernel takes the twelfth power of a feature: of this it is 1e288.
LARGEST = 1e24
MIN_BLOCKS = 10  # as long as the samples suffice: the error of a standard error from 10 is 24%


def kernel_distance(
  real: Float[np.ndarray, "n d"],
  fake: Float[np.ndarray, "m d"],
  rng: np.random.Generator,
  *,
  block_size: int = 1000,
  blocks: int | None = None,
) -> tuple[float, float]:
  """Unbiased squared maximum mean discrepancy with the kernel k(x, y) = (x.y / D + 1)^3.

  MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y) over pairs x != x' of the data and y != y' of the
  samples, averaged over random blocks that share no sample. Blocks are made smaller than
  `block_size` where the samples would give fewer than 10, or fewer than `blocks`; no block has
  fewer than 2. Samples left over, and those by which the larger set exceeds the smaller, are
  unused. Features that are constant are legal: two constant sets have the error 0.

  See "Demystifying MMD GANs" by Binkowski et al., the Kernel Inception Distance
  (https://arxiv.org/abs/1801.01401).

  Args:
    real: [N, D], features of data, N >= 4.
    fake: [M, D], features of generated samples, M >= 4.
    rng: source of the blocks.
    block_size: most samples of either set in a block, >= 2.
    blocks: how many, >= 2; None for as many as there are.

  Returns:
    value: the mean over blocks, without a unit, yet it changes with the scale of the features;
      negative values are sound, for the mean of equal distributions is 0.
    standard_error: of that mean, standard deviation over blocks / sqrt(blocks).

  Raises:
    UserError: see `checks.check_pair`; or block_size or blocks out of range.
  """
  real, fake = check_pair(real, fake, minimum=4, largest=LARGEST)
  size, blocks = _split(min(len(real), len(fake)), block_size, blocks)
  real_rows = rng.permutation(len(real))[: size * blocks].reshape(blocks, size)
  fake_rows = rng.permutation(len(fake))[: size * blocks].reshape(blocks, size)
  pairs = zip(real_rows, fake_rows, strict=True)
  values = np.array([_unbiased_mmd(real[rows], fake[others]) for rows, others in pairs])
  return float(values.mean()), float(values.std(ddof=1) / np.sqrt(blocks))


def _split(samples, block_size, blocks):
  """Size and number of the blocks."""
  if block_size < 2:
    raise UserError(f"block_size is {block_size}: a block needs 2 samples, about 1000 are usual")
  if blocks is not None and not 2 <= blocks <= samples // 2:
    raise UserError(
      f"blocks is {blocks}: choose 2 to {samples // 2}, with {samples} samples in the smaller set"
    )
  size = max(2, min(block_size, samples // (blocks or MIN_BLOCKS)))
  return size, blocks or samples // size


def _unbiased_mmd(real, fake):
  """The U-statistic of MMD^2 for real [S, D] and fake [S, D]."""
  pairs = len(real) * (len(real) - 1)
  within = (_off_diagonal_sum(real) + _off_diagonal_sum(fake)) / pairs
  return within - 2 * _kernel(real, fake).mean()


def _off_diagonal_sum(features):
  kernel = _kernel(features, features)
  np.fill_diagonal(kernel, 0)
  return kernel.sum()


def _kernel(first, second):
  return (first @ second.T / first.shape[1] + 1) ** 3  # [S, S]
