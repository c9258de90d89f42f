"""The extractor that a run names for the metrics of its samples: `Config.extractor`."""

from collections.abc import Callable
from typing import Any

from gan.datasets.base import Dataset, absolute
from gan.errors import UserError
from gan.metrics import extractors
from gan.metrics.evaluator import check_extractor, origin
from gan.metrics.extractors import Extractor
from gan.training.config import Config

DIGEST = "extractor_digest"  # in config.json: what a run depends on, wherever the file lies


def read(config: Config) -> Extractor | None:
  """Returns the extractor that a config names, or None; no device is asked for.

  Raises:
    UserError: it is not there, is damaged or none, or the run does not measure itself.
  """
  if config.extractor is None:
    return None
  check_read(config)
  return extractors.load(config.extractor)


def check_read(config: Config) -> None:
  """Raises UserError where a run with an extractor does not measure itself."""
  if not config.eval_every:
    raise UserError(
      "--extractor is read by --eval_every above 0 only: give that too, or leave it out"
    )


def check(
  extractor: Extractor | None, config: Config, dataset: Dataset, say: Callable[[str], None]
) -> None:
  """Checks that the extractor of a run takes its data; says where it was trained on others.

  Raises:
    UserError: it does not take them.
  """
  if extractor is None:
    return
  named = config.extractor or extractor.digest
  check_extractor(extractor, dataset, named)
  if line := origin(extractor, dataset, named):
    say(line)


def identity(extractor: Extractor | None) -> dict[str, str]:
  """Returns what the result of a run with a named extractor depends on; {} without one."""
  return {DIGEST: extractor.digest} if extractor else {}


def place(named: str | None) -> str | None:
  """Returns a shipped name as it is, and a file as it is found from anywhere."""
  return named if named is None or named in extractors.shipped() else absolute(named)


def recorded(record: dict[str, Any], run: str) -> Extractor | None:
  """Returns the extractor that a run was measured by while it trained, None where it named none.

  Args:
    record: config.json of the run.
    run: what to call it in an error.

  Raises:
    UserError: its file is gone, or is another one by now.
  """
  digest, named = record["determining"].get(DIGEST), record["config"].get("extractor")
  if digest is None:
    return None
  if named is None:
    raise UserError(
      f"{run} measured itself by an extractor that was passed, {digest}: name its file by "
      "--extractor"
    )
  try:
    found = extractors.load(named)
  except UserError:
    found = None
  if found is None or found.digest != digest:
    raise UserError(
      f"{run} measured itself by the extractor {digest}, and {named} is gone or another by now: "
      "put it back, or name one by --extractor"
    )
  return found
