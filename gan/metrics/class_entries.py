"""The entries of METRICS for samples with classes: those that a generator was asked for."""

import numpy as np

from gan.datasets.base import some
from gan.metrics.base import NEAR_REFERENCE, POSITIVE, SHARE, Metric, Value
from gan.metrics.intra_class_frechet import LEAST, intra_class_frechet, shared_classes
from gan.metrics.ms_ssim import WEIGHTS, class_ms_ssim, scale_count


def _intra_class_frechet(data, fake, rng):
  del rng
  real = data.reference
  values = intra_class_frechet(real.features, real.labels, fake.features, fake.labels).values
  return {
    "intra_class_frechet": Value(float(values.mean())),
    "worst_class_frechet": Value(float(values.max())),
  }


def _classes_left_out(data, fake):
  _, left_out = shared_classes(data.reference.labels, fake.labels)
  return _left_out(left_out, f"have fewer than {LEAST} real or generated samples")


def _left_out(classes, why):
  """A line on the classes that a number is not of; "" for none."""
  return f"classes {some(classes.tolist(), 20)} are left out, which {why}" if len(classes) else ""


def _ms_ssim(data, fake, rng):
  del data
  return {"ms_ssim": Value(float(class_ms_ssim(fake.examples, fake.labels, rng).values.mean()))}


def _scales_and_classes_left_out(data, fake):
  del data
  height, width = fake.examples.shape[1:3]
  scales = scale_count(height, width)
  fewer = f"images of {height}x{width} have {scales} of {len(WEIGHTS)} scales"
  classes, counts = np.unique(fake.labels, return_counts=True)
  alone = _left_out(classes[counts < 2], "have one image")
  return "; ".join(filter(None, ["" if scales == len(WEIGHTS) else fewer, alone]))


def _classification_accuracy(data, fake, rng):
  # It alone needs JAX: pages are written of records where there is none.
  from gan.metrics.classification import classification_accuracy

  test, seed = data.held_out, int(rng.integers(2**31))
  share = classification_accuracy(fake.examples, fake.labels, test.examples, test.labels, seed)
  return {"classification_accuracy": Value(share)}


def _perfect_classification_accuracy(data, count, rng):
  """Training images in the place of samples."""
  chosen = rng.permutation(len(data.train.examples))[:count]
  return _classification_accuracy(data, data.train.rows(chosen), rng)


def _has_labelled_features(data):
  return data.reference.labels is not None and data.reference.features is not None


def _has_labelled_images(data):
  return data.reference.labels is not None and data.reference.examples.ndim == 4


def _has_images_for_scales(data):
  return _has_labelled_images(data) and scale_count(*data.reference.examples.shape[1:3]) > 0


def _has_held_out_images_for_a_classifier(data):
  if not _has_labelled_images(data) or data.held_out is None or data.held_out.labels is None:
    return False
  return not any(side % 4 for side in data.reference.examples.shape[1:3])


ENTRIES: dict[str, Metric] = {
  "intra_class_frechet": Metric(
    _intra_class_frechet,
    {"intra_class_frechet": "lower", "worst_class_frechet": "lower"},
    lambda data: {"intra_class_frechet": POSITIVE, "worst_class_frechet": POSITIVE},
    _has_labelled_features,
    quick=False,
    notice=_classes_left_out,
  ),
  "ms_ssim": Metric(
    _ms_ssim,
    {"ms_ssim": NEAR_REFERENCE},
    lambda data: {"ms_ssim": SHARE},
    _has_images_for_scales,
    quick=False,
    notice=_scales_and_classes_left_out,
  ),
  "classification_accuracy": Metric(
    _classification_accuracy,
    {"classification_accuracy": "higher"},
    lambda data: {"classification_accuracy": SHARE},
    _has_held_out_images_for_a_classifier,
    resample=False,
    perfect=_perfect_classification_accuracy,
    quick=False,
  ),
}
