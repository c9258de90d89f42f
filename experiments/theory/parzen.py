"""The score of the first GAN paper: of training images, of centroids, of the paper's GAN."""

import dataclasses
from typing import NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure

from experiments.cli import common
from experiments.theory import style
from experiments.theory.case import Check, Result, Settings, close, reported, text
from gan import datasets
from gan.errors import UserError
from gan.metrics.parzen import BANDWIDTHS, ParzenLikelihood, parzen_log_likelihood
from gan.report import plots
from gan.training import loop, restore, sampling
from gan.training.config import Config
from gan.training.presets import PRESETS

PAPER = "Goodfellow et al. 2014, arXiv:1406.2661, table 1"
NOTE = "Theis et al. 2016, arXiv:1511.01844"
COMPUTED = "the estimator on training images, computed apart"
SAMPLES, FEW, VALIDATION = 10_000, 1000, 1000
EPOCHS, STEPS_PER_EPOCH = 100, 500
LOW, HIGH = 215.0, 240.0
PUBLISHED = {"DBN": 138, "Stacked CAE": 121, "Deep GSN": 214, "GAN": 225}


class Images(NamedTuple):
  """MNIST as the score takes it, pixels in [0, 1], [N, 784] each."""

  train: np.ndarray
  validation: np.ndarray
  test: np.ndarray


def run(settings: Settings) -> Result:
  """The Parzen window gives training images 244 nats, centroids of them more, the 2014 GAN 225.

  The mean log-density of MNIST's test images under Gaussians around 10,000 samples, of the width
  that 1000 validation images like best. Training images, the best samples that there are, set the
  scale. 1000 centroids of k-means score above 1000 training images: the score rewards blur. Then
  --preset=goodfellow2014, 100 epochs of 50,000 images for each of three seeds, trained in the
  folder of this case, where the same command continues; --workdir=RUN scores that run instead. A
  quick run trains nothing.
  """
  images = load(settings)
  anchor = score(images, images.train[_order(images)[:SAMPLES]])
  centroids, few = (score(images, samples) for samples in few_samples(images))
  scored = {name: (score(images, samples), samples) for name, samples in _generated(settings)}
  checks = _anchor_checks(anchor, centroids, few)
  checks += [_run_check(name, likelihood) for name, (likelihood, _) in scored.items()]
  if scored and not settings.workdir:
    checks.append(_criterion([likelihood for likelihood, _ in scored.values()]))
  rows = {"10,000 training images": anchor, "1000 centroids": centroids}
  rows |= {"1000 training images": few} | {name: found for name, (found, _) in scored.items()}
  figures = {"scores": _bars(rows)} | ({"samples": _samples(scored)} if scored else {})
  records = [{"samples": name, **found._asdict()} for name, found in rows.items()]
  return Result(checks, figures, records, [])


def load(settings: Settings) -> Images:
  """MNIST in the authors' parts: 50,000 to train on, 1000 of the rest to choose a width by."""
  parts = ("train[:50000]", f"train[50000:{50_000 + VALIDATION}]", "test")
  found = [datasets.load("mnist", part, settings.data_dir, image_size=28) for part in parts]
  for dataset in (found[0], found[-1]):
    common.with_notice_printed(dataset, ("data_dir",))
  return Images(*(dataset.images.reshape(-1, 784) / 255 for dataset in found))


def score(images: Images, samples: np.ndarray) -> ParzenLikelihood:
  """Score of samples [N, 784] in [0, 1]."""
  return parzen_log_likelihood(samples, images.validation, images.test)


def _order(images):
  return np.random.default_rng(0).permutation(len(images.train))


def few_samples(images: Images) -> tuple[np.ndarray, np.ndarray]:
  """1000 centroids of 20,000 training images, and 1000 training images."""
  from sklearn.cluster import MiniBatchKMeans

  order = _order(images)
  means = MiniBatchKMeans(FEW, random_state=0, n_init=1).fit(images.train[order[: 2 * SAMPLES]])
  return means.cluster_centers_, images.train[order[:FEW]]


def _generated(settings):
  """(name, samples [10000, 784]) of the run that was named, or of runs of the preset."""
  if settings.workdir:
    yield settings.workdir, draw(settings.workdir)
  elif not settings.quick:
    for seed in range(settings.seeds_or(3, 3)):
      folder = settings.outdir / "parzen" / f"seed_{seed}"
      fit(seed, folder, settings.data_dir, EPOCHS * STEPS_PER_EPOCH)
      yield f"the GAN of 2014, seed {seed}", draw(folder)


def fit(seed: int, folder, data_dir: str | None, steps: int) -> None:
  """Trains the preset up to `steps`, from where the folder stands.

  Raises:
    UserError: the run did not come to its end.
  """
  config = Config(**PRESETS["goodfellow2014"] | {"dataset": "mnist", "steps": steps})
  config = dataclasses.replace(config, seed=seed, sample_every=5000, checkpoint_every=2500)
  status = loop.fit(config, folder, data_dir)["status"]
  if status != "finished":
    raise UserError(f"{folder}: {status}; the same command goes on where it was interrupted")


def draw(folder) -> np.ndarray:
  """10,000 samples [10000, 784] in [0, 1] of the run in a folder.

  Raises:
    UserError: it makes other images than MNIST's.
  """
  found = restore.find(folder)
  if found.info.image_shape != (28, 28, 1):
    raise UserError(f"{folder} makes {found.info.image_shape}, and MNIST's images are (28, 28, 1)")
  conditional = found.config.conditional
  labels = np.arange(SAMPLES) % found.info.num_classes if conditional else None
  samples = sampling.samples(found.gan, found.state, jax.random.key(0), SAMPLES, labels)
  return samples.reshape(SAMPLES, -1) / 255


# The table and the pictures.


def _anchor_checks(anchor, centroids, few) -> list[Check]:
  title = "10,000 training images, nats per test image"
  above = centroids.mean > few.mean
  return [
    close(title, anchor.mean, 244.0, source=COMPUTED, absolute=4.0),
    reported("10,000 training images, sigma", anchor.bandwidth, text(BANDWIDTHS[2]), COMPUTED),
    Check(
      "1000 centroids against 1000 training images",
      f"{centroids.mean:.1f} against {few.mean:.1f}",
      "above",
      NOTE,
      bool(above),
    ),
  ]


def _run_check(name, found) -> Check:
  ours = f"{found.mean:.1f} +- {found.standard_error:.1f}, sigma {found.bandwidth:.3f}"
  return reported(f"{name}, nats per test image", ours, "225 +- 2", PAPER)


def met(found: ParzenLikelihood) -> bool:
  """Whether a run is where the paper's is: 215 to 240 nats at one of two widths."""
  near = np.isclose(found.bandwidth, BANDWIDTHS[2:4]).any()
  return bool(LOW <= found.mean <= HIGH and near)


def _criterion(scores) -> Check:
  count, needed = sum(map(met, scores)), -(-2 * len(scores) // 3)
  title = f"seeds with {LOW:g} to {HIGH:g} nats at sigma {BANDWIDTHS[2]:.3f} or {BANDWIDTHS[3]:.3f}"
  expected = f"at least {needed} of {len(scores)}"
  return Check(title, str(count), expected, PAPER, count >= needed)


def _bars(rows) -> Figure:
  figure, ((axes,),) = style.panels(1, 1, 0.6 + 0.3 * (len(rows) + len(PUBLISHED)))
  published = {f"{name}, 2014": value for name, value in PUBLISHED.items()}
  bars = axes.barh(list(published), list(published.values()), color="0.75")
  axes.bar_label(bars, padding=4)
  for name, found in rows.items():
    bars = axes.barh(name, found.mean, xerr=found.standard_error, color=plots.COLOURS[5])
    axes.bar_label(bars, fmt="%.0f", padding=4)
  axes.set(
    xlabel="mean log-likelihood of MNIST's test images, nats", title="blue: ours; grey: papers"
  )
  axes.grid(False, axis="y")
  return figure


def _samples(scored) -> Figure:
  figure, (panels,) = style.panels(1, len(scored), style.WIDTH / len(scored))
  for axes, (name, (_, samples)) in zip(panels, scored.items(), strict=True):
    rows = samples[:100].reshape(10, 10, 28, 28)
    axes.imshow(rows.transpose(0, 2, 1, 3).reshape(280, 280), cmap="gray", vmin=0, vmax=1)
    axes.set_title(name)
    axes.set_axis_off()
  return figure
