"""Extractors of features by name: classifiers, trained here or by a user, and networks of papers.

The weights of the classifiers of MNIST, Fashion-MNIST, CIFAR-10 and the bundled digits come with
the package; `python -m experiments.train_classifier` made them and makes others. Those of Inception
and DINOv2 are files that a user names. The first 12 digits of a file's SHA-256 name it in every
record: values are comparable where these agree.
"""

import importlib
import os
import pathlib
from collections.abc import Sequence

from gan.errors import UserError
from gan.metrics.extractors.base import Extractor, Features, check, to_range
from gan.metrics.extractors.classifiers import from_bytes, to_bytes
from gan.system.files import expanded_path

__all__ = [
  "PUBLISHED",
  "STACKED",
  "Extractor",
  "Features",
  "check_all",
  "for_dataset",
  "from_bytes",
  "load",
  "load_all",
  "placed",
  "shipped",
  "to_bytes",
  "to_range",
]

SHIPPED = pathlib.Path(__file__).parent
# Networks of papers, whose weights a user has: (module with `make`, its options).
PUBLISHED: dict[str, tuple[str, dict[str, str]]] = {
  "inception": ("inception", {}),
  "dinov2": ("dinov2", {}),
  "dinov2_bilinear": ("dinov2", {"resize": "bilinear"}),
}
# Data sets that a classifier of another one sees channel by channel.
STACKED = {"stacked_mnist": "mnist"}


def load(name: str | os.PathLike) -> Extractor:
  """Returns the shipped extractor of a data set, one of PUBLISHED, or one from a file.

  Args:
    name: "mnist", "fashion_mnist", "digits", "cifar10"; "inception:FILE", "dinov2:FILE" or
      "dinov2_bilinear:FILE" with the file of its weights, which GAN_INCEPTION or GAN_DINOV2 may
      name instead; or the path of a file of `to_bytes`.

  Raises:
    UserError: there is none of this name; the file is damaged.
  """
  kind, _, file = os.fspath(name).partition(":")
  if kind in PUBLISHED:
    return _published(kind, file)
  path = SHIPPED / f"{name}.npz" if name in shipped() else expanded_path(name)
  if not path.is_file():
    raise UserError(
      f"no extractor {name}: there are {', '.join(shipped())}; for another data set train one "
      "(python -m experiments.train_classifier) and give `extractor=FILE`"
    )
  try:
    return from_bytes(path.read_bytes(), path)
  except OSError as error:
    raise UserError(f"{path} cannot be read ({error.strerror})") from error


def _published(kind: str, file: str) -> Extractor:
  module, options = PUBLISHED[kind]
  variable = f"GAN_{module.upper()}"
  if not (file := file or os.environ.get(variable, "")):
    raise UserError(
      f"the weights of {kind} do not come with the package: name their file by "
      f"`extractor={kind}:FILE`, or by the environment variable {variable}; docs/metrics.md says "
      "which files fit"
    )
  make = importlib.import_module(f"gan.metrics.extractors.{module}").make
  return make(expanded_path(file), **options)._replace(name=kind)


def load_all(names: str) -> tuple[Extractor, ...]:
  """Returns the extractors of a list of names, see `load`, with commas between them.

  A comma parts names: a file whose name has one is renamed, or loaded by `load`.

  Raises:
    UserError: as `load`; two of them have one name, by which their numbers are told apart.
  """
  named = [name.strip() for name in names.split(",")]
  if not all(named):
    raise UserError(
      f"`extractor={names}` has an empty name: there are {', '.join(shipped())}, "
      f"{', '.join(f'{name}:FILE' for name in PUBLISHED)}, and files; several have commas between "
      "them"
    )
  found = tuple(map(load, named))
  check_all(found)
  return found


def check_all(found: Sequence[Extractor]) -> None:
  """Raises UserError where extractors cannot be told apart in records, or one cannot be used."""
  for extractor in found:
    check(extractor)
  names = [extractor.name for extractor in found]
  if twice := [name for name in names if names.count(name) > 1]:
    raise UserError(
      f"two extractors are called {twice[0]}, and their numbers would have one name: leave one "
      "out, or rename its file"
    )
  if len({extractor.identity for extractor in found}) < len(found):
    raise UserError(f"two of the extractors {', '.join(names)} are one: leave one out")


def placed(names: str) -> str:
  """Returns a list of names as it is found from anywhere: files with their whole path."""
  return ",".join(_placed(name.strip()) for name in names.split(","))


def _placed(name: str) -> str:
  kind, colon, file = name.partition(":")
  if kind in PUBLISHED:
    return f"{kind}{colon}{file and expanded_path(file).absolute()}"
  return name if name in shipped() else str(expanded_path(name).absolute())


def shipped() -> list[str]:
  """Returns the names of the data sets whose extractors come with the package."""
  return sorted(path.stem for path in SHIPPED.glob("*.npz"))


def for_dataset(kind: str) -> str:
  """Returns the name of the shipped extractor for a kind of data, or the kind's own name."""
  return STACKED.get(kind, kind)
