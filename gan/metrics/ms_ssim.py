"""Multi-scale structural similarity of images of one class: how little a class varies."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8
from scipy import ndimage

from gan.errors import UserError
from gan.metrics.checks import check_labels
from gan.system.schema import check_whole

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, the finest first
WINDOW, SIGMA = 11, 1.5  # of the Gaussian, in pixels
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
PAIRS = 100  # in a class, as in the paper on AC-GAN
_AT_ONCE = 2**22  # pixels of one side of the pairs: each array of them takes 32 MB


class ClassSimilarities(NamedTuple):
  """The mean similarity of pairs within each class that has two images or more.

  Attributes:
    classes: [K], their numbers, rising.
    values: [K], the mean of each, in 0..1.
    left_out: [L], the numbers of classes of one image.
  """

  classes: Int[np.ndarray, " k"]
  values: Float[np.ndarray, " k"]
  left_out: Int[np.ndarray, " l"]


def scale_count(height: int, width: int) -> int:
  """Returns on how many scales images of this size are compared: 5 at most, 0 if too small.

  Each scale halves the sides, which stay at least as large as the window: all 5 need 176 pixels,
  32 x 32 and 28 x 28 have 2.
  """
  sides = (min(height, width) >> scale for scale in range(len(WEIGHTS)))
  return sum(side >= WINDOW for side in sides)


def ms_ssim(
  first: UInt8[np.ndarray, "n h w c"], second: UInt8[np.ndarray, "n h w c"]
) -> Float[np.ndarray, " n"]:
  """Multi-scale structural similarity of each image of one array with that of the other.

  prod_{j < S} mean(cs_j)^(w_j) mean(l_S cs_S)^(w_S) with luminance l = (2 m m' + C1)/(m^2 + m'^2 +
  C1) and structure cs = (2 v + C2)/(s^2 + s'^2 + C2) of local moments, means over the pixels of
  scale j; negative means count as 0, and channels are averaged. Moments are those under a Gaussian
  of 11 pixels and sigma 1.5, where all of it lies in the image; a scale halves the one before by
  means of 2 x 2, of which an odd last row is no part. Images too small for 5 scales have
  `scale_count` of them; weights w are divided by the sum of those that are used. Compare only
  values of one image size.

  See "Multi-Scale Structural Similarity for Image Quality Assessment" by Wang, Simoncelli and
  Bovik (Asilomar 2003, https://ieeexplore.ieee.org/document/1292216).

  Args:
    first: [N, H, W, C], 0..255.
    second: [N, H, W, C].

  Returns:
    [N], in 0..1; 1 for equal images.

  Raises:
    UserError: two shapes, or a side below 11 pixels.
  """
  if first.shape != second.shape:
    raise UserError(f"images are {list(first.shape)} and {list(second.shape)}: give equal shapes")
  scales = scale_count(*first.shape[1:3])
  if not scales:
    size = "x".join(map(str, first.shape[1:3]))
    raise UserError(f"images are {size}, and MS-SSIM's window has {WINDOW} pixels: enlarge them")
  weights = np.array(WEIGHTS[:scales]) / sum(WEIGHTS[:scales])
  images, result = np.stack([first, second]).astype(np.float64), 1.0  # [2, N, H, W, C]
  for scale, weight in enumerate(weights):
    luminance, structure = _terms(*images)
    whole = luminance * structure if scale == scales - 1 else structure
    result = result * np.maximum(whole.mean(axis=(1, 2)), 0) ** weight  # [N, C]
    images = _halved(images)
  return result.mean(axis=1)


def class_ms_ssim(
  images: UInt8[np.ndarray, "n h w c"],
  labels: Int[np.ndarray, " n"],
  rng: np.random.Generator,
  *,
  pairs: int = PAIRS,
) -> ClassSimilarities:
  """Mean `ms_ssim` of random pairs of two images of a class, for each class.

  The nearer to 1 the more alike they are: a class that collapsed scores above real images, and
  noise below them.

  See "Conditional Image Synthesis with Auxiliary Classifier GANs" by Odena, Olah and Shlens
  (https://arxiv.org/abs/1610.09585), section 4.2, who compare classes with those of the data.

  Args:
    images: [N, H, W, C], 0..255.
    labels: [N], their classes, >= 0.
    rng: source of the pairs.
    pairs: how many of each class; 100 in the paper.

  Returns:
    The mean of each class of at least 2 images, and the classes left out.

  Raises:
    UserError: see `ms_ssim` and `checks.check_labels`; or no class has two images.
  """
  check_whole("pairs", pairs, least=1)
  labels = check_labels("image", labels, len(images))
  classes, counts = np.unique(labels, return_counts=True)
  enough = counts > 1
  if not enough.any():
    raise UserError("no class has 2 images, of which a pair could be made: take more samples")
  values = [_mean(images, np.flatnonzero(labels == each), rng, pairs) for each in classes[enough]]
  return ClassSimilarities(classes[enough], np.array(values), classes[~enough])


def _mean(images, rows, rng, pairs):
  """The mean over pairs of two different ones of these rows."""
  first = rng.integers(len(rows), size=pairs)
  second = (first + rng.integers(1, len(rows), size=pairs)) % len(rows)
  parts = -(-pairs * images[0].size // _AT_ONCE)
  split = (np.array_split(rows[chosen], parts) for chosen in (first, second))
  return np.concatenate([ms_ssim(images[a], images[b]) for a, b in zip(*split, strict=True)]).mean()


def _terms(first, second):
  """Luminance and structure of images [N, H, W, C] at each place of the window, [N, H', W', C]."""
  means = _filtered(first), _filtered(second)
  variances = [_filtered(x * x) - m * m for x, m in zip((first, second), means, strict=True)]
  covariance = _filtered(first * second) - means[0] * means[1]
  luminance = (2 * means[0] * means[1] + C1) / (means[0] ** 2 + means[1] ** 2 + C1)
  return luminance, (2 * covariance + C2) / (variances[0] + variances[1] + C2)


def _filtered(images):
  """Means under the Gaussian where it lies within the image."""
  offsets = np.arange(WINDOW) - WINDOW // 2
  window = np.exp(-(offsets**2) / (2 * SIGMA**2))
  window, edge = window / window.sum(), slice(WINDOW // 2, -(WINDOW // 2))
  rows = ndimage.correlate1d(images, window, axis=1, mode="constant")[:, edge]
  return ndimage.correlate1d(rows, window, axis=2, mode="constant")[:, :, edge]


def _halved(images):
  """Means of 2 x 2 pixels of images [..., H, W, C]."""
  height, width = (side // 2 * 2 for side in images.shape[-3:-1])
  rows = images[..., 0:height:2, :, :] + images[..., 1:height:2, :, :]
  return (rows[..., 0:width:2, :] + rows[..., 1:width:2, :]) / 4
