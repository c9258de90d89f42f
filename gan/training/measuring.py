"""The extractors that a run names for the metrics of its samples: `Config.extractor`."""

from collections.abc import Callable
from typing import Any

from gan.datasets.base import Dataset
from gan.errors import UserError
from gan.metrics import extractors
from gan.metrics.evaluator import check_extractor, digests, origin
from gan.metrics.extractors import Extractor
from gan.training.config import Config

DIGEST = "extractor_digest"  # in config.json: what a run depends on, wherever the files lie


def read(config: Config) -> tuple[Extractor, ...]:
  """Returns the extractors that a config names, () for none; no device is asked for.

  Raises:
    UserError: one is not there, is damaged or none, or the run does not measure itself.
  """
  if config.extractor is None:
    return ()
  check_read(config)
  return extractors.load_all(config.extractor)


def check_read(config: Config) -> None:
  """Raises UserError where a run with an extractor does not measure itself."""
  if not config.eval_every:
    raise UserError(
      "--extractor is read by --eval_every above 0 only: give that too, or leave it out"
    )


def check(
  named: tuple[Extractor, ...], config: Config, dataset: Dataset, say: Callable[[str], None]
) -> None:
  """Checks that the extractors of a run take its data; says where they were trained on others.

  Raises:
    UserError: one does not take them.
  """
  words = config.extractor.split(",") if config.extractor else [each.name for each in named]
  for extractor, word in zip(named, words, strict=True):
    check_extractor(extractor, dataset, word)
    if line := origin(extractor, dataset, word):
      say(line)


def identity(named: tuple[Extractor, ...]) -> dict[str, str]:
  """Returns what the result of a run with named extractors depends on; {} without one."""
  return {DIGEST: _identities(named)} if named else {}


def _identities(named: tuple[Extractor, ...]) -> str | None:
  """Their digests in order, each but the first with its name, which its numbers have too."""
  first, others = named[:1], named[1:]
  return ",".join(filter(None, [digests(first), *(f"{it.name} {it.digest}" for it in others)]))


def place(names: str | None) -> str | None:
  """Returns the names of extractors as they are found from anywhere."""
  return names and extractors.placed(names)


def recorded(record: dict[str, Any], run: str) -> tuple[Extractor, ...]:
  """Returns the extractors that a run was measured by while it trained, () where it named none.

  Args:
    record: config.json of the run.
    run: what to call it in an error.

  Raises:
    UserError: a file is gone, or is another one by now.
  """
  digest, names = record["determining"].get(DIGEST), record["config"].get("extractor")
  if digest is None:
    return ()
  if names is None:
    raise UserError(
      f"{run} measured itself by an extractor that was passed, {digest}: name its file by "
      "--extractor"
    )
  try:
    found = extractors.load_all(names)
  except UserError:
    found = ()
  if _identities(found) != digest:
    raise UserError(
      f"{run} measured itself by the extractor {digest}, and {names} is gone or another by now: "
      "put it back, or name one by --extractor"
    )
  return found
