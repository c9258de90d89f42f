"""Files of the mean and covariance of features of real images, by which papers share references.

They are .npz with `mu` [D] and `sigma` [D, D], as pytorch-fid and clean-fid write them. Ours also
say of which extractor the features are; those of others do not, and the user has to know.
"""

import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from gan.errors import UserError
from gan.metrics.checks import check_features
from gan.metrics.extractors import Extractor
from gan.system import schema
from gan.system.archive import Archive
from gan.system.files import check_ordinary, expanded_path, replacing

_ABOUT = schema.entries(optional={"digest": schema.TEXT, "resize": schema.TEXT}, others=schema.ANY)


class Statistics(NamedTuple):
  """A Gaussian that stands for real images.

  Attributes:
    mean: [D], float64.
    covariance: [D, D], float64, with N - 1.
    about: what the file says of itself, {} for files of others.
  """

  mean: Float[np.ndarray, " d"]
  covariance: Float[np.ndarray, "d d"]
  about: Mapping[str, Any]


def read(path: str | os.PathLike, extractor: Extractor, width: int) -> Statistics:
  """Returns the statistics in a file.

  Args:
    path: of an .npz with `mu` and `sigma`.
    extractor: beside whose features they are to stand.
    width: D of its features.

  Raises:
    UserError: it cannot be read, holds something else, or is of other features. Whether it holds
      a covariance is seen where the distance is computed.
  """
  file = expanded_path(path)
  check_ordinary(file)
  with Archive(file, str(path)) as archive:
    if missing := [name for name in ("mu", "sigma") if name not in archive]:
      raise UserError(
        f"{path} has no {missing[0]}: statistics are an .npz with mu [D] and sigma [D, D]"
      )
    mean, covariance = archive["mu"], archive["sigma"]
    text = str(archive["about"]) if "about" in archive else "{}"
    about = schema.checked(text, _ABOUT, f"{path} is damaged", "write it again")
  _check_shapes(path, mean, covariance, width, extractor.name)
  _check_origin(path, about, extractor)
  return Statistics(mean.astype(np.float64), covariance.astype(np.float64), about)


def is_one(path: pathlib.Path) -> bool:
  """Whether a file holds mu and sigma."""
  try:
    with Archive(path, str(path)) as archive:
      return "mu" in archive and "sigma" in archive
  except UserError:
    return False


def _check_shapes(path, mean, covariance, width, name):
  shapes = [list(array.shape) for array in (mean, covariance)]
  if mean.dtype.kind + covariance.dtype.kind != "ff":
    raise UserError(f"{path} has mu of {mean.dtype} and sigma of {covariance.dtype}: floats belong")
  if shapes != [[width], [width, width]]:
    raise UserError(
      f"{path} has mu {shapes[0]} and sigma {shapes[1]}, and the features of {name} have "
      f"{width} numbers: take statistics of the same extractor"
    )


def _check_origin(path, about, extractor):
  here = {"digest": extractor.identity, "resize": extractor.resize}
  for field, value in here.items():
    if about.get(field, value) != value:
      raise UserError(
        f"{path} is of features with {field} {about[field]}, and those here have {value}: numbers "
        "of different features mean nothing; name the same extractor"
      )


def write(
  path: pathlib.Path, features: Float[np.ndarray, "n d"], extractor: Extractor, dataset: str
) -> None:
  """Writes the statistics of real images, whole or not at all.

  Args:
    path: the file.
    features: of the images.
    extractor: of the features.
    dataset: what the images are, in a word.

  Raises:
    UserError: see `checks.check_features`.
  """
  features = check_features("real", features, 2)
  about = {"extractor": extractor.name, "digest": extractor.identity, "resize": extractor.resize}
  about |= {"dataset": dataset, "images": len(features)}
  with replacing(path) as file:
    np.savez(
      file,
      mu=features.mean(axis=0),
      sigma=np.atleast_2d(np.cov(features, rowvar=False)),
      about=json.dumps(about, sort_keys=True),
    )
