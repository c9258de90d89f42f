"""Which features `experiments.evaluate` measures: its extractors, and files of statistics."""

from typing import Any

from experiments.cli.command import notify
from gan.errors import UserError
from gan.metrics import extractors, statistics_file
from gan.metrics.evaluator import find_extractor, origin, stands_in
from gan.metrics.extractors import Extractor
from gan.metrics.spaces import FeatureSpace
from gan.system.progress import say
from gan.training import measuring
from gan.training.run_folder import read_config, writable_file


def extractors_of(subject: Any, values: Any) -> tuple[Extractor, ...]:
  """Returns the extractors that are named, else those of the run, else the one that fits."""
  if values.extractor is None:
    return _of_same_run(values) or _usual_extractor(subject, values)
  named = extractors.load_all(values.extractor)
  for extractor, word in zip(named, values.extractor.split(","), strict=True):
    notify(origin(extractor, subject.train, word) if values.workdir else "", values)
  return named


def _of_same_run(values) -> tuple[Any, ...]:
  """The extractors by which a run measured itself, () where it named none."""
  return measuring.recorded(read_config(values.workdir), values.workdir) if values.workdir else ()


def _usual_extractor(subject, values) -> tuple[Any, ...]:
  extractor, notice = _default_extractor(subject.train, named=bool(values.workdir))
  if extractor:
    notify(notice, values)
    return (extractor,)
  if subject.train.images.ndim == 4:
    notify(f"Metrics of features are left out: {notice}; --extractor=FILE names one.", values)
  return ()


def _default_extractor(train, named):
  """The data set's own; that of MNIST for sets without a name in its form, which is said."""
  extractor, notice = find_extractor(train)
  if named or extractor:
    return extractor, notice
  extractor, notice = find_extractor(train._replace(name="mnist", part_of=""))
  return extractor, stands_in("MNIST") if extractor else notice


def write_statistics(first: FeatureSpace, values: Any) -> None:
  """Writes --write_statistics, of all real images by the first extractor."""
  if not values.write_statistics:
    return
  features = _features(first)
  file, real = writable_file(values.write_statistics), values.workdir or values.real
  if file.exists() and not statistics_file.is_one(file):
    raise UserError(f"{file} is there and holds no statistics: name another file")
  statistics_file.write(file, features, first.extractor, str(real))
  say(f"Written: {values.write_statistics}, of {len(features):,} real images")


def _features(space) -> Any:
  if space.data.train.features is None:
    raise UserError("statistics are of features, and there are none: name an --extractor")
  return space.data.train.features


def with_statistics(spaces: tuple[FeatureSpace, ...], values: Any) -> tuple[FeatureSpace, ...]:
  """Returns the spaces, of which the first has the mean and covariance of --statistics."""
  first, *others = spaces
  if not values.statistics:
    return spaces
  width = _features(first).shape[1]
  found = statistics_file.read(values.statistics, first.extractor, width)
  if not found.about:
    say(f"{values.statistics} does not say of which features it is: {first.extractor.name}?")
  return (first._replace(data=first.data._replace(statistics=found[:2])), *others)
