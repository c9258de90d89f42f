"""What every metric asks of its arrays before it computes."""

import numpy as np
from jaxtyping import Float, Int

from gan.errors import UserError

# The softmax of 1,000 classes in float32 misses 1 by less than 1e-5, the one in bfloat16 by 5e-3.
SUM_TOLERANCE = 1e-4
# Standard errors take the fourth power of a feature: of this it is 1e280, and 1e28 can be added.
LARGEST = 1e70
# Where no feature is larger, distances that are not 0 have squares that are.
SMALLEST = 1e-150


def check_table(
  what: str, table: np.ndarray, minimum: int = 1, largest: float = LARGEST
) -> Float[np.ndarray, "n d"]:
  """The table as float64, once it is finite and has enough rows.

  Args:
    what: the plural by which the message calls it: "points".
    table: [N, D], any number type.
    minimum: least N.
    largest: most of a size of which all that is computed can be represented.

  Returns:
    [N, D], float64.

  Raises:
    UserError: not [N, D] with D >= 1, fewer than `minimum` rows, or among them a NaN, an infinity,
      or a number that is too large.
  """
  table = np.asarray(table)
  if table.ndim != 2 or table.shape[1] == 0:
    raise UserError(f"{what} have shape {list(table.shape)}: give one row per sample, [N, D]")
  if len(table) < minimum:
    raise UserError(
      f"{what} are of {len(table)} samples, and {minimum} are needed: take more samples"
    )
  table = table.astype(np.float64)
  wrong = np.count_nonzero(~np.isfinite(table).all(axis=1))
  if wrong:
    raise UserError(
      f"{what} hold NaN or infinity in {wrong} of {len(table)} rows: look for a network that "
      "diverged, or leave those samples out and say so"
    )
  size = np.abs(table).max(initial=0.0)
  if size > largest:
    raise UserError(
      f"{what} are as large as {size:.3g}, and above {largest:.0e} their powers overflow: look for "
      "a network that diverged, or bring all to a moderate size by one factor and say so"
    )
  return table


def check_features(name: str, features: np.ndarray, minimum: int = 1) -> Float[np.ndarray, "n d"]:
  """The features as float64, once they are finite and of enough samples; see `check_table`.

  Args:
    name: whose features they are, for the message: "real", "fake".
    features: [N, D], any number type.
    minimum: least N.

  Returns:
    [N, D], float64.

  Raises:
    UserError: see `check_table`.
  """
  return check_table(f"{name} features", features, minimum)


def check_pair(
  real: np.ndarray, fake: np.ndarray, minimum: int = 1, largest: float = LARGEST
) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "m d"]]:
  """The two sets of features as float64, once both are right and of one dimension.

  Args:
    real: [N, D], features of data.
    fake: [M, D], features of generated samples.
    minimum: least N and least M.
    largest: see `check_table`.

  Returns:
    real [N, D] and fake [M, D], float64.

  Raises:
    UserError: see `check_table`; or their dimensions differ; or both are all but 0.
  """
  real = check_table("real features", real, minimum, largest)
  fake = check_table("fake features", fake, minimum, largest)
  if real.shape[1] != fake.shape[1]:
    raise UserError(
      f"real features have {real.shape[1]} dimensions and fake ones {fake.shape[1]}: take both "
      "from the same layer of the same network"
    )
  size = max(np.abs(real).max(), np.abs(fake).max())
  if 0 < size < SMALLEST:
    raise UserError(
      f"features are no larger than {size:.3g}, and below {SMALLEST:.0e} their squares are 0: "
      "bring all to a moderate size by one factor and say so"
    )
  return real, fake


def check_probabilities(probabilities: np.ndarray, minimum: int = 1) -> Float[np.ndarray, "n c"]:
  """The probabilities of classes as float64, once every row is a distribution.

  Args:
    probabilities: [N, C], p(y|x), not negative, rows that sum to 1 within 1e-4.
    minimum: least N.

  Returns:
    [N, C], float64, as they were given: not normalised anew.

  Raises:
    UserError: see `check_table`; or a row is no distribution.
  """
  probabilities = check_table("probabilities", probabilities, minimum)
  sums = probabilities.sum(axis=1)
  if probabilities.min() < 0 or np.abs(sums - 1).max() > SUM_TOLERANCE:
    raise UserError(
      f"probabilities are as low as {probabilities.min():.3g} and their rows sum to between "
      f"{sums.min():.6g} and {sums.max():.6g}, not 1: give the softmax of the logits, in float32"
    )
  return probabilities


def check_labels(name: str, labels: np.ndarray, count: int) -> Int[np.ndarray, " n"]:
  """The classes of samples, once there is one for each of them.

  Args:
    name: whose classes they are, for the message: "real", "fake".
    labels: [N], integers >= 0.
    count: N, how many samples there are.

  Raises:
    UserError: another shape, no integers, or one below 0.
  """
  labels = np.asarray(labels)
  if labels.shape != (count,) or labels.dtype.kind not in "iu":
    raise UserError(
      f"{name} labels are {labels.dtype} {list(labels.shape)} beside {count} samples: give one "
      "integer for each"
    )
  if labels.min(initial=0) < 0:
    raise UserError(f"{name} labels hold {labels.min()}: they count classes from 0")
  return labels
