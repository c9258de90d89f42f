"""What a sweep compares: a loss, or a loss with a penalty of its own, written wgan+wgan_gp."""

from collections.abc import Callable, Collection
from typing import Any

from gan.errors import UserError
from gan.losses import LOSSES
from gan.penalties import PENALTIES
from gan.training.config import Config

WITH = "+"  # between a loss and its penalty


def choices_of(label: str) -> dict[str, str]:
  """Returns the fields that a label chooses: the loss, and the penalty where it names one."""
  loss, plus, penalty = label.partition(WITH)
  return {"loss": loss, "penalty": penalty} if plus else {"loss": loss}


def check_labels(labels: Collection[str]) -> None:
  """Raises UserError for a label of an unknown loss or penalty."""
  for label in labels:
    chosen = choices_of(label)
    if chosen["loss"] not in LOSSES:
      raise UserError(
        f"--losses={label} is unknown: choose from {', '.join(sorted(LOSSES))}, or all"
      )
    if chosen.get("penalty", "none") not in PENALTIES:
      raise UserError(
        f"--losses={label} has an unknown penalty: after {WITH} choose from {', '.join(PENALTIES)}"
      )


def check_apart(
  labels: Collection[str], points: Collection[dict[str, Any]], make_config: Callable[..., Config]
) -> None:
  """Raises UserError where labels and points both choose penalties, or two labels are one run.

  Args:
    labels: of losses, some perhaps with a penalty.
    points: what else runs differ in.
    make_config: `fields -> Config` with these values.
  """
  if not any(WITH in label for label in labels):
    return
  if any("penalty" in point for point in points):
    raise UserError("penalty is chosen by --losses and by --grid or --space: leave it out of one")
  known = {}
  for label in labels:
    config = make_config(choices_of(label))
    other = known.setdefault((config.loss, config.penalty), label)
    if other != label:
      raise UserError(
        f"--losses={other},{label} are one, --loss={config.loss} with --penalty={config.penalty}: "
        "leave one of them out"
      )
