"""Whether runs belong together: their configs agree in what does not vary, their values in kind.

Errors name folders and every difference.
"""

import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from gan.errors import UserError
from gan.training.run_folder import differences

# Values under another of these are other quantities: a Frechet distance grows as samples shrink.
MEASURED_ON = ("dataset", "data_sha256", "split", "image_size", "eval_samples")
FACTS = ("eval_samples", "reference_samples", "extractor", "split")
Described = tuple[str | os.PathLike, Mapping[str, Any]]


def check_configs(parts: Mapping[str, Mapping[str, Any]], free: Collection[str]) -> None:
  """Refuses folders that differ in what varies inside none of them.

  Args:
    parts: folder -> what the result of one of its runs depends on.
    free: the fields that vary.

  Raises:
    UserError: two differ in another field.
  """
  first, *others = parts.items() or [None]
  for name, here in others:
    if lines := differences(first[1], here, free):
      raise UserError(
        f"{first[0]} and {name} are of different studies ({'; '.join(lines)}): compare folders "
        "whose configs agree in all but loss, seed and what varies inside one of them"
      )


def check_measured(
  runs: Sequence[tuple[str | os.PathLike, Mapping[str, Any], Sequence[Mapping[str, Any]]]],
) -> None:
  """Refuses values that are not of one quantity.

  Args:
    runs: folder, what its result depends on, records of evaluations.

  Raises:
    UserError: data or sample counts of two differ.
  """
  known = {}
  for folder, identity, evaluations in runs:
    described = {name: identity.get(name) for name in MEASURED_ON}
    _check_against(known.setdefault("data", (folder, described)), (folder, described))
    for record in evaluations:
      described = {name: record.get(name) for name in FACTS}
      _check_against(known.setdefault("evaluation", (folder, described)), (folder, described))


def _check_against(first: Described, found: Described) -> None:
  if lines := differences(first[1], found[1]):
    raise UserError(
      f"{first[0]} and {found[0]} are not measured alike ({'; '.join(lines)}): their "
      "values cannot be compared; name folders that agree"
    )
