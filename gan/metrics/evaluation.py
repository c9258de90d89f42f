"""The metrics of a generator: its samples beside data, with errors and with what data score.

Like is compared with like: as many training examples as fakes are the reference, drawn by a seed;
held-out data in the place of the fakes give the held-out reference. Standard errors come from
random halves of both sets, the delete-half jackknife: the spread of a statistic over halves
estimates its standard error on the whole. See "A General Theory for Jackknife Variance Estimation"
by Shao and Wu (Annals of Statistics 17, 1989). Intervals stay in the range of their metric, see
`metrics.intervals`.
"""

import hashlib
import os
import pathlib
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from scipy import stats

from gan import datasets
from gan.datasets import grid, ring
from gan.errors import UserError
from gan.metrics import METRICS, Data, Sample, Value, extractors
from gan.metrics.base import ANY
from gan.metrics.best import better
from gan.metrics.calls import RANGES, VALUES, are_values, call, plain
from gan.metrics.extractors import Extractor
from gan.metrics.intervals import score_interval
from gan.metrics.modes import joint_chances
from gan.system.archive import Archive
from gan.system.cache import cache_folder
from gan.system.progress import say
from gan.system.schema import Kind, check_made

HALVES = 10
MIXTURES = {"ring": (ring.centres(), ring.SIGMA), "grid": (grid.centres(), grid.SIGMA)}


def extract_features(
  examples: np.ndarray, extractor: Extractor | None, labels: np.ndarray | None = None
) -> Sample:
  """Returns images with their features, each channel on its own where the extractor is grey.

  Args:
    examples: images [N, H, W, C] uint8, or points [N, 2].
    extractor: None for points.
    labels: [N], the classes that were asked for, or None.

  Raises:
    UserError: the extractor takes other images.
  """
  return _extracted(examples, extractor)._replace(labels=labels)


def _extracted(examples, extractor) -> Sample:
  if extractor is None:
    return Sample(examples)
  if extractor.image_shape != (*examples.shape[1:3], 1) or examples.shape[3:] == (1,):
    return Sample(examples, *extractor.extract(examples))
  channels = np.split(examples, examples.shape[-1], axis=-1)
  features, probabilities = zip(*map(extractor.extract, channels), strict=True)
  of_classes = None if probabilities[0] is None else np.stack(probabilities, axis=1)
  return Sample(examples, np.concatenate(features, axis=1), of_classes)


def make_data(
  train: datasets.Dataset,
  held_out: datasets.Dataset | None,
  extractor: Extractor | None,
  count: int,
  seed: int,
  labelled: bool = False,
) -> Data:
  """Returns what generators are measured against; features of data are computed once and kept.

  Args:
    train: the training examples.
    held_out: others of the same kind, or None.
    extractor: of the features, None for points.
    count: size of the reference, at most.
    seed: of the choice of the reference.
    labelled: whether fakes have labels, beside which those of the data are read.
  """
  whole = _sample_of(train, extractor, labelled)
  order = np.random.default_rng(seed).permutation(len(train.images))
  return Data(
    reference=whole.rows(np.sort(order[:count])),
    train=whole,
    held_out=held_out and _sample_of(held_out, extractor, labelled),
    mixture=MIXTURES.get(train.name),
    mode_chances=_mode_chances(train, whole),
  )


def _mode_chances(train, seen):
  """Of stacks whose channels are drawn independently, as those of STACKED are."""
  if train.kind not in extractors.STACKED or seen.probabilities is None:
    return None
  labels = seen.probabilities.argmax(axis=2)  # [N, K], as the classifier sees what it is to count
  return joint_chances(labels, seen.probabilities.shape[2])


def _sample_of(dataset, extractor, labelled) -> Sample:
  labels = dataset.labels if labelled else None
  return _extract_from_data(dataset.images, extractor)._replace(labels=labels)


def _extract_from_data(images, extractor) -> Sample:
  """`extract_features`, kept in the user's cache folder under the hashes of their origin."""
  if extractor is None:
    return Sample(images)
  digest = hashlib.sha256(np.ascontiguousarray(images).data).hexdigest()[:16]
  # Of one's own extractors a version is any text.
  version = f"{extractor.identity} {extractor.resize} {dict(extractor.about)}"
  version = hashlib.sha256(version.encode()).hexdigest()[:12]
  path = cache_folder() / "features" / f"{digest}-{version}.npz"
  kept = _kept(path, len(images))
  if kept is None:
    sample = extract_features(images, extractor)
    arrays = {"features": sample.features, "probabilities": sample.probabilities}
    _keep(path, **{name: array for name, array in arrays.items() if array is not None})
    return sample
  return Sample(images, kept["features"], kept.get("probabilities"))


def _kept(path: pathlib.Path, count: int) -> dict[str, np.ndarray] | None:
  """The arrays of a file, or None where it is absent, damaged, or not of that many images."""
  try:
    with Archive(path, str(path)) as archive:
      kept = {name: archive[name] for name in archive}
  except UserError:
    return None
  fits = "features" in kept and all(
    a.dtype == np.float32 and a.shape[:1] == (count,) for a in kept.values()
  )
  return kept if fits else None


def _keep(path: pathlib.Path, **arrays) -> None:
  part = path.with_suffix(f".{os.getpid()}.part")
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(part, "wb") as file:
      np.savez(file, **arrays)
    part.replace(path)
  except OSError:
    pass  # A cache that cannot be written is no reason to stop.


def applicable(data: Data) -> list[str]:
  """Returns the names of METRICS for which the data have what is needed."""
  return [name for name, metric in METRICS.items() if call(f"{name}: ", metric.applies, data)]


def measure(
  data: Data, fake: Sample, names: Iterable[str], seed: int, errors: bool = False
) -> dict[str, Value]:
  """Returns every number of the metrics `names`.

  Args:
    data: what the fakes are measured against.
    fake: the fakes.
    names: keys of METRICS that apply to the data.
    seed: of what is random in metrics and of the halves.
    errors: whether to compute standard errors from halves.

  Raises:
    UserError: a metric cannot be computed from so few or such samples; the line names it.
  """
  values = {}
  for name in names:
    try:
      values |= _measure_one(name, data, fake, seed, errors)
    except UserError as error:
      raise UserError(f"{name}: {error}") from error
  return values


def _measure_one(name, data, fake, seed, errors):
  values = _values_of(name, data, fake, np.random.default_rng(seed))
  if not (errors and METRICS[name].resample):
    return values
  rng = np.random.default_rng([seed, 1])
  halves = [
    _values_of(name, data._replace(reference=_half(data.reference, rng)), _half(fake, rng), rng)
    for _ in range(HALVES)
  ]
  return {
    name: Value(value.value, float(np.std([half[name].value for half in halves], ddof=1)))
    for name, value in values.items()
  }


def _values_of(name, data, fake, rng):
  """What a metric returns, its numbers as Python's own."""
  metric = METRICS[name]
  words = f"a dict with a gan.metrics.Value of each of its numbers ({', '.join(metric.better)})"
  kind = Kind(words, lambda it: are_values(it) and it.keys() >= metric.better.keys())
  values = check_made(call("", metric.function, data, fake, rng), kind, f"METRICS[{name!r}]")
  return {number: Value(*map(plain, value)) for number, value in values.items()}


def _half(sample, rng):
  count = len(sample.examples)
  return sample.rows(rng.choice(count, (count + 1) // 2, replace=False))


def held_out_references(
  data: Data, names: Iterable[str], count: int, seed: int
) -> dict[str, Value]:
  """Returns what a perfect sampler of these data scores: a closed form, or held-out data.

  Args:
    data: what generators are measured against.
    names: keys of METRICS that apply to the data.
    count: number of fakes that it stands beside; held-out data may be fewer.
    seed: of the choice of held-out data and of what is random in metrics.

  Raises:
    UserError: a metric cannot be computed from so few or such held-out data; the line names it.
  """
  rng = np.random.default_rng(seed)
  values = {}
  for name in names:
    perfect = METRICS[name].perfect
    found = call(f"{name}: ", perfect, data, count, rng) if perfect else {}
    check_made(found, VALUES, f"`perfect` of METRICS[{name!r}]")
    if not found and data.held_out is not None:
      found = measure(data, held_out_sample(data, count, seed), [name], seed)
    values |= found
  return values


def held_out_sample(data: Data, count: int, seed: int) -> Sample:
  """Returns `count` held-out examples in random order, or all where there are fewer."""
  order = np.random.default_rng(seed).permutation(len(data.held_out.examples))
  return data.held_out.rows(order[:count])


class Row(NamedTuple):
  """A number of the table.

  Attributes:
    value: what the fakes score.
    low: lower end of the 95 % interval, None where the metric gives no error.
    high: its upper end.
    held_out_reference: what a perfect sampler scores, None where that is not known.
    better: "lower", "higher", "reference" (the nearer to it the better), or None.
  """

  value: float
  low: float | None
  high: float | None
  held_out_reference: float | None
  better: str | None


def rows(
  data: Data, fake: Sample, names: Iterable[str], seed: int, say: Callable[[str], None] = say
) -> dict[str, Row]:
  """Returns the numbers of the metrics `names` with their intervals beside their references.

  Args:
    data: what the fakes are measured against.
    fake: the fakes.
    names: keys of METRICS that apply to the data.
    seed: of all that is random.
    say: prints one line to the user, where so few samples give no interval or reference, or a
      metric makes no use of some.

  Raises:
    UserError: see `measure`.
  """
  result = {}
  for name in names:
    values = _with_errors(data, fake, name, seed, say)
    if line := _notice(data, fake, name):
      say(f"{name}: {line}.")
    references = _held_out_reference(data, len(fake.examples), name, seed, say)
    ranges = call(f"{name}: ", METRICS[name].range, data)
    check_made(ranges, RANGES, f"`range` of METRICS[{name!r}]")
    count = min(len(data.reference.examples), len(fake.examples))
    for number, value in values.items():
      interval = _interval(value, ranges.get(number, ANY), count)
      reference = references[number].value if number in references else None
      result[number] = Row(value.value, *interval, reference, better(number))
  return result


def _with_errors(data, fake, name, seed, say):
  try:
    return measure(data, fake, [name], seed, errors=True)
  except UserError:
    values = measure(data, fake, [name], seed)
    counts = f"{len(data.reference.examples)} real and {len(fake.examples)} generated samples"
    say(f"{name} has no interval: {counts} are too few to be halved.")
    return values


def _notice(data, fake, name):
  notice = METRICS[name].notice
  return call(f"{name}: ", notice, data, fake) if notice else ""


def _held_out_reference(data, count, name, seed, say):
  try:
    return held_out_references(data, [name], count, seed)
  except UserError as error:
    say(f"Without the score of held-out data: {error}.")
    return {}


def _interval(value, bounds, count):
  error = value.standard_error
  share = error is not None and bounds[0] >= 0 and bounds[1] <= 1
  # Halves that agree tell no error, but of shares, whose error their count bounds.
  if not (error or share):
    return None, None
  # Student's t, for errors come from ten halves or about ten blocks.
  quantile = float(stats.t.ppf(0.975, HALVES - 1))
  return score_interval(value.value, error, quantile, bounds, count if share else None)
