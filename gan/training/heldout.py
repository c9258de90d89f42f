"""Data that a run keeps out of training to judge its discriminator on: `Config.heldout`."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Int

from gan import datasets
from gan.errors import UserError
from gan.losses import Loss, decides
from gan.metrics.discriminator import discriminator_accuracy, overfitting
from gan.networks import Gan
from gan.state import GanState
from gan.system.progress import say
from gan.training.build import game_parts
from gan.training.config import Config
from gan.training.judging import Judged, judged_logits

Labels = Int[np.ndarray, " n"]
Judge = Callable[[GanState, Labels | None, int], dict[str, Any]]


def make_judge(config: Config, gan: Gan, train: datasets.Dataset) -> Judge | None:
  """Returns `(state, labels of samples, seed) -> fields of a record`; None where none is asked for.

  The fields are those of `measured` and how many held-out examples they are of; one line to the
  user and nothing where the logits are not finite.

  Args:
    config: of the runs.
    gan: their players.
    train: what they are trained on, of `datasets.load`.

  Raises:
    UserError: there is no such split, or it has no labels where the runs read some, or there are
      fewer examples of a kind than the discriminator judges at once.
  """
  if not config.heldout:
    return None
  held_out = datasets.load(*train.asked._replace(split=config.heldout))
  if config.conditional and held_out.labels is None:
    raise UserError(
      f"--heldout={config.heldout} has no labels, which --conditional reads: name another split"
    )
  _check_counts(config, gan, train, held_out)
  loss = game_parts(config)["loss"]

  def judge(state: GanState, labels: Labels | None, seed: int) -> dict[str, Any]:
    try:
      judged, counts = judged_logits(gan, state, train, held_out, labels, seed, config.eval_samples)
      return {"held_out_samples": counts["held_out_samples"]} | measured(judged, loss)
    except UserError as error:  # a run need not end for it
      say(f"Left out, --heldout: {error}")
      return {}

  return judge


def _check_counts(
  config: Config, gan: Gan, train: datasets.Dataset, held_out: datasets.Dataset
) -> None:
  counts = {
    f"--heldout={config.heldout}": len(held_out.images),
    f"--split={config.split}": len(train.images),
    f"--eval_samples={config.eval_samples}": config.eval_samples,
  }
  for flag, count in counts.items():
    if count < gan.packing:
      raise UserError(
        f"{flag} gives {count} examples to judge the discriminator on, which takes {gan.packing} "
        "at once: take more, or leave out --heldout"
      )


def measured(judged: Judged, loss: Loss) -> dict[str, float]:
  """Returns what the logits tell: means of each kind, overfitting, accuracies where there are some.

  Args:
    judged: logits.
    loss: of the discriminator; one without a logit at which it decides has no accuracies.
  """
  values = {}
  if decides(loss):
    for name in ("held_out", "train"):
      accuracy = discriminator_accuracy(loss, getattr(judged, name), judged.samples)
      values[f"discriminator_accuracy_{name}"] = accuracy.value
  rate = overfitting(judged.train, judged.held_out, judged.samples)
  means = {f"discriminator_logit_{name}": float(np.mean(x)) for name, x in judged._asdict().items()}
  return values | {"discriminator_overfitting": rate} | means
