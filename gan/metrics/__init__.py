"""Metrics by name: pure functions of samples or of their features, with no download.

Each file has one metric as a function of arrays; this one says what a metric is given of a data set
and of a generator, which numbers it yields, and what a perfect sampler would score.
"""

import math

import numpy as np

from gan.metrics import class_entries
from gan.metrics.base import ANY, NEAR_REFERENCE, POSITIVE, SHARE, Data, Metric, Sample, Value
from gan.metrics.class_histogram import class_histogram
from gan.metrics.classifier_score import classifier_score
from gan.metrics.density_coverage import density_coverage
from gan.metrics.frechet import frechet_distance, frechet_infinity, frechet_to_statistics
from gan.metrics.kernel import kernel_distance
from gan.metrics.memorisation import memorisation
from gan.metrics.mind import mind
from gan.metrics.modes import (
  expected_kl,
  expected_mixture_modes,
  expected_modes,
  mixture_modes,
  stacked_modes,
)
from gan.metrics.ndb import ndb
from gan.metrics.parzen import parzen_log_likelihood
from gan.metrics.precision_recall import precision_recall
from gan.metrics.wasserstein import MOST, wasserstein

__all__ = ["METRICS", "NEAR_REFERENCE", "Data", "Metric", "Sample", "Value"]


def _frechet_distance(data, fake, rng):
  del rng
  return {"frechet_distance": Value(frechet_distance(data.reference.features, fake.features))}


def _frechet_infinity(data, fake, rng):
  counts = np.maximum(len(fake.examples) * np.arange(1, 5) // 4, 2)
  infinity, counts, values = frechet_infinity(
    data.reference.features, fake.features, rng, counts=counts
  )
  fewer = zip(counts[:-1], values[:-1], strict=True)
  return {"frechet_infinity": Value(infinity)} | {
    f"frechet_at_{count}": Value(float(value)) for count, value in fewer
  }


def _frechet_to_statistics(data, fake, rng):
  del rng
  mean, covariance = data.statistics
  return {"frechet_to_statistics": Value(frechet_to_statistics(mean, covariance, fake.features))}


def _kernel_distance(data, fake, rng):
  return {"kernel_distance": Value(*kernel_distance(data.reference.features, fake.features, rng))}


def _mind(data, fake, rng):
  return {"mind": Value(mind(data.reference.features, fake.features, rng))}


def _precision_recall(data, fake, rng):
  del rng
  precision, recall = precision_recall(data.reference.features, fake.features)
  return {"precision": Value(precision), "recall": Value(recall)}


def _density_coverage(data, fake, rng):
  del rng
  density, coverage = density_coverage(data.reference.features, fake.features)
  return {"density": Value(density), "coverage": Value(coverage)}


def _classifier_score(data, fake, rng):
  del data, rng
  return {"classifier_score": Value(classifier_score(fake.probabilities)[0])}


def _class_histogram(data, fake, rng):
  del data, rng
  shares = class_histogram(fake.probabilities)
  return {
    "smallest_class_share": Value(float(shares.min())),
    "largest_class_share": Value(float(shares.max())),
  }


def _stacked_modes(data, fake, rng):
  del data, rng
  modes, kl = stacked_modes(fake.probabilities)
  return {"modes": Value(modes), "modes_kl": Value(kl)}


def _perfect_stacked_modes(data, count, rng):
  del rng
  if data.mode_chances is None:
    return {}
  return {
    "modes": Value(expected_modes(count, data.mode_chances)),
    "modes_kl": Value(expected_kl(count, data.mode_chances)),
  }


_MIXTURE = ("modes", "high_quality_share", "reverse_kl")


def _mixture_modes(data, fake, rng):
  del rng
  values = mixture_modes(fake.examples, *data.mixture)
  return dict(zip(_MIXTURE, map(Value, values), strict=True))


def _perfect_mixture_modes(data, count, rng):
  del rng
  values = expected_mixture_modes(count, len(data.mixture[0]))
  return dict(zip(_MIXTURE, map(Value, values), strict=True))


def _wasserstein(data, fake, rng):
  return {"wasserstein": Value(wasserstein(data.held_out.examples, fake.examples, rng))}


def _perfect_wasserstein(data, count, rng):
  """Training points in the place of samples: two draws of the data."""
  chosen = rng.permutation(len(data.train.examples))[:count]
  return _wasserstein(data, data.train.rows(chosen), rng)


def _points_left_out(data, fake):
  counts = len(data.held_out.examples), len(fake.examples)
  paired = min(*counts, MOST)
  if max(counts) == paired:
    return ""
  return f"of {counts[0]:,} held-out points and {counts[1]:,} samples {paired:,} each are paired"


def _ndb(data, fake, rng):
  share, divergence = ndb(_pixels(data.reference), _pixels(fake), rng)
  return {"ndb_share": Value(share), "ndb_js": Value(divergence)}


def _parzen(data, fake, rng):
  chosen = rng.choice(len(data.train.examples), min(1000, len(data.train.examples)), False)
  validation = _pixels(data.train.rows(chosen))
  result = parzen_log_likelihood(_pixels(fake), validation, _pixels(data.held_out))
  return {"parzen_log_likelihood": Value(result.mean, result.standard_error)}


def _perfect_parzen(data, count, rng):
  """Training images in the place of samples, none of which chooses the bandwidth."""
  order = rng.permutation(len(data.train.examples))
  validation = min(1000, len(order) // 5)
  rest = Data(data.reference, data.train.rows(order[:validation]), data.held_out)
  return _parzen(rest, data.train.rows(order[validation:][:count]), rng)


def _memorisation(data, fake, rng):
  del rng
  result = memorisation(data.train.features, data.held_out.features, fake.features)
  return {"memorisation_ratio": Value(result.ratio)}


def _perfect_memorisation(data, count, rng):
  """The median distance of held-out data, over itself."""
  del data, count, rng
  return {"memorisation_ratio": Value(1.0)}


def _pixels(sample):
  """[N, H W C] in [0, 1]."""
  return sample.examples.reshape(len(sample.examples), -1) / 255


def _has_features(data):
  return data.reference.features is not None


def _has_statistics(data):
  return data.statistics is not None


def _has_classes(data):
  probabilities = data.reference.probabilities
  return probabilities is not None and probabilities.ndim == 2


def _is_stacked(data):
  probabilities = data.reference.probabilities
  return probabilities is not None and probabilities.ndim == 3


def _is_mixture(data):
  return data.mixture is not None


def _has_held_out_points(data):
  return data.held_out is not None and data.held_out.examples.ndim == 2


def _has_images(data):
  return data.reference.examples.ndim == 4


def _always(**ranges):
  return lambda data: ranges


def _range_of_score(data):
  return {"classifier_score": (1.0, float(data.reference.probabilities.shape[1]))}


def _range_of_shares(data):
  """The smallest of C shares that sum to 1 is at most 1 / C, the largest at least."""
  even = 1 / data.reference.probabilities.shape[1]
  return {"smallest_class_share": (0.0, even), "largest_class_share": (even, 1.0)}


def _range_of_stacked_modes(data):
  _, channels, classes = data.reference.probabilities.shape
  return {
    "modes": (1.0, float(classes**channels)),
    "modes_kl": (0.0, channels * math.log(classes)),
  }


def _range_of_mixture_modes(data):
  modes = float(len(data.mixture[0]))
  return {"modes": (0.0, modes), "high_quality_share": SHARE, "reverse_kl": POSITIVE}


METRICS: dict[str, Metric] = {
  "frechet_distance": Metric(
    _frechet_distance,
    {"frechet_distance": "lower"},
    _always(frechet_distance=POSITIVE),
    _has_features,
  ),
  "frechet_infinity": Metric(
    _frechet_infinity,
    {"frechet_infinity": "lower"},
    _always(frechet_infinity=ANY),  # the intercept of a line
    _has_features,
    resample=False,
    quick=False,
  ),
  "frechet_to_statistics": Metric(
    _frechet_to_statistics,
    {"frechet_to_statistics": "lower"},
    _always(frechet_to_statistics=POSITIVE),
    _has_statistics,
  ),
  "kernel_distance": Metric(
    _kernel_distance,
    {"kernel_distance": "lower"},
    _always(kernel_distance=ANY),  # unbiased about 0
    _has_features,
    resample=False,
    quick=False,
  ),
  "mind": Metric(_mind, {"mind": "lower"}, _always(mind=POSITIVE), _has_features),
  "precision_recall": Metric(
    _precision_recall,
    {"precision": "higher", "recall": "higher"},
    _always(precision=SHARE, recall=SHARE),
    _has_features,
  ),
  "density_coverage": Metric(
    _density_coverage,
    {"density": "higher", "coverage": "higher"},
    _always(density=POSITIVE, coverage=SHARE),
    _has_features,
  ),
  "classifier_score": Metric(
    _classifier_score, {"classifier_score": "higher"}, _range_of_score, _has_classes
  ),
  "class_histogram": Metric(
    _class_histogram,
    {"smallest_class_share": "higher", "largest_class_share": "lower"},
    _range_of_shares,
    _has_classes,
  ),
  "stacked_modes": Metric(
    _stacked_modes,
    {"modes": "higher", "modes_kl": "lower"},
    _range_of_stacked_modes,
    _is_stacked,
    resample=False,
    perfect=_perfect_stacked_modes,
  ),
  "mixture_modes": Metric(
    _mixture_modes,
    {"modes": "higher", "high_quality_share": "higher", "reverse_kl": "lower"},
    _range_of_mixture_modes,
    _is_mixture,
    resample=False,
    perfect=_perfect_mixture_modes,
  ),
  "wasserstein": Metric(
    _wasserstein,
    {"wasserstein": "lower"},
    _always(wasserstein=POSITIVE),
    _has_held_out_points,
    perfect=_perfect_wasserstein,
    notice=_points_left_out,
  ),
  "ndb": Metric(
    _ndb,
    {"ndb_share": "lower", "ndb_js": "lower"},
    _always(ndb_share=SHARE, ndb_js=(0.0, math.log(2))),
    _has_images,
    resample=False,
    quick=False,
  ),
  "parzen": Metric(
    _parzen,
    {"parzen_log_likelihood": "higher"},
    _always(parzen_log_likelihood=ANY),
    lambda data: _has_images(data) and data.held_out is not None,
    resample=False,
    quick=False,
    perfect=_perfect_parzen,
  ),
  "memorisation": Metric(
    _memorisation,
    {"memorisation_ratio": NEAR_REFERENCE},
    _always(memorisation_ratio=POSITIVE),
    lambda data: _has_features(data) and data.held_out is not None,
    resample=False,
    quick=False,
    perfect=_perfect_memorisation,
  ),
} | class_entries.ENTRIES
