"""The data of a run in its config.json: what was asked for, what it was, and opening it again."""

import os
from collections.abc import Callable
from typing import Any

from gan import datasets
from gan.datasets import base
from gan.errors import UserError

Load = Callable[[str], base.Dataset]  # of a split


def describe(dataset: base.Dataset, sha256: str) -> dict[str, Any]:
  """Returns what was asked for and what the arrays are, each by itself, as JSON values.

  Args:
    dataset: what a run is trained on.
    sha256: its `digest`.
  """
  what = {"name": dataset.kind, "is_part": bool(dataset.part_of), "path": dataset.path or None}
  asked = dataset.asked and dataset.asked._asdict()
  return {"asked": asked, "data": what | {"sha256": sha256}}


def reopen(
  record: dict[str, Any], run: str | os.PathLike, data_dir: str | None = None
) -> tuple[base.Dataset, Load]:
  """Returns the data set that a run was trained on, and a function that loads its other splits.

  The data set is recognised by its SHA-256. Without `data_dir` it is searched where it was for
  training, then by its name.

  Args:
    record: config.json of the run; those of older versions do not say what was asked for.
    run: what to call the run in an error.
    data_dir: the only place to search; None for all.

  Raises:
    UserError: it is not found.
  """
  config, reasons = record["config"], []
  places = [data_dir] if data_dir else [*filter(os.path.exists, _places(record)), None]
  for place in places:
    for name in _names(record):

      def load(split, name=name, place=place):
        return datasets.load(name, split, place, config.get("image_size"))

      try:
        dataset = load(config.get("split", "train"))
      except UserError as error:
        reasons.append(str(error))
        continue
      if base.digest(dataset) == record["determining"].get("data_sha256"):
        return dataset, load
      reasons.append(f"{dataset.source} is not what {run} was trained on")
  raise UserError(_refusal(record, run, reasons, data_dir))


def _names(record) -> list[str]:
  if name := _text(record, "data", "name"):
    return [name]
  # Records of older versions have a label alone, in which parts of these sets are called so.
  label = str(record["config"].get("dataset"))
  whole = label.removesuffix("_subset")
  return list(dict.fromkeys([whole, label])) if whole in datasets.DATASETS else [label]


def _places(record) -> list[str]:
  """Paths at which the data may still lie; older versions have one as it was typed."""
  found = [_text(record, "data", "path"), _text(record, "asked", "data_dir")]
  return list(dict.fromkeys(filter(None, found))) or [str(record.get("source"))]


def _text(record, group, field) -> str:
  """A field of a record, "" where it is absent or no text."""
  found = record.get(group)
  value = found.get(field) if isinstance(found, dict) else None
  return value if isinstance(value, str) else ""


def _refusal(record, run, reasons, data_dir) -> str:
  """Says what the run was trained on, what is wrong with what was found, and what to do."""
  config, path = record["config"], _text(record, "data", "path")
  what = f"{record.get('num_examples')} examples of {config.get('dataset')}, {config.get('split')}"
  told = f"{run} was trained on {what}, from {path or record.get('source')}"
  if path and not data_dir and not os.path.exists(path):
    return f"{told}, which is gone: say where it lies by `data_dir`"
  return f"{reasons[0]}; {told}: name that by `data_dir` or GAN_DATA_DIR"
