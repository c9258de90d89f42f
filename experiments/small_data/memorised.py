"""Whether a generator copies its few examples: its samples beside their nearest neighbours."""

import pathlib
from typing import Any

import jax
import numpy as np
from PIL import Image

from gan.datasets import Dataset
from gan.metrics.evaluation import extract_features, held_out_sample, make_data
from gan.metrics.extractors import Extractor
from gan.metrics.memorisation import Memorisation, memorisation
from gan.system import schema
from gan.system.schema import COUNT, NUMBER, TEXT, entries
from gan.training import restore
from gan.training.run_folder import write_json

RECORD, PICTURE = "memorisation.json", "neighbours.png"
SAMPLES = 1000  # generated, and held out at most
_KIND = entries(
  {"step": COUNT, "ratio": NUMBER, "samples": COUNT, "held_out": COUNT, "extractor": TEXT}
)


def is_measured(run: pathlib.Path) -> bool:
  """Whether `measure` has been here."""
  return (run / RECORD).is_file()


def read(run: pathlib.Path) -> dict[str, Any] | None:
  """Returns what `measure` wrote of a run, or None before that."""
  return schema.read(run / RECORD, _KIND, "delete it, and give the same command again")


def measure(run: pathlib.Path, train: Dataset, held_out: Dataset, extractor: Extractor) -> None:
  """Writes how near the samples of a finished run are to its training data, and the nearest pairs.

  Args:
    run: its folder.
    train: all that it was trained on.
    held_out: others of their kind, the measure of what is near.
    extractor: of the features in which neighbours are looked for.
  """
  loaded = restore.find(run)
  fakes = loaded.sample(SAMPLES, jax.random.key(loaded.config.seed))
  data = make_data(train, held_out, extractor, len(train.images), seed=0)
  fresh = held_out_sample(data, SAMPLES, seed=0)
  features = extract_features(fakes, extractor).features
  found = memorisation(data.train.features, fresh.features, features)
  _picture(train, fakes, found).save(run / PICTURE)
  write_json(
    run / RECORD,
    {
      "step": int(loaded.state.step),
      "ratio": found.ratio,
      "samples": len(fakes),
      "held_out": len(fresh.examples),
      "extractor": extractor.identity,
    },
  )


def _picture(train: Dataset, fakes: np.ndarray, found: Memorisation) -> Image.Image:
  """Of each class the sample that is nearest to training data, and below it its neighbour.

  Of all samples the nearest are of the plainest class alone, of ones.
  """
  order = np.argsort(found.distances)
  _, first = np.unique(train.labels[found.indices[order]], return_index=True)
  chosen = order[first]
  pairs = fakes[chosen], train.images[found.indices[chosen]]
  pixels = np.concatenate([np.concatenate(list(row), axis=1) for row in pairs])
  return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
