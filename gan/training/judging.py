"""What the discriminator of a run makes of training data, of held-out data, and of samples."""

import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key
from scipy import stats

from gan.datasets import Dataset
from gan.errors import UserError
from gan.losses import Loss, decides
from gan.method.play import to_range
from gan.metrics.base import ANY, SHARE, Value
from gan.metrics.discriminator import discriminator_accuracy, logit_difference
from gan.metrics.evaluation import Row
from gan.metrics.intervals import score_interval
from gan.networks import Gan, as_outputs, pack
from gan.state import GanState
from gan.system.compilation import compiled
from gan.training import sampling
from gan.training.build import game_parts
from gan.training.restore import LoadedRun

_COUNTS = {"held_out": "held_out_samples", "train": "reference_samples"}
MOST = 2000  # examples of each kind: an accuracy is then known to one per cent


class Judged(NamedTuple):
  """Logits [N] of held-out data, of training data and of samples; one for each packed row."""

  held_out: Float[np.ndarray, " h"]
  train: Float[np.ndarray, " n"]
  samples: Float[np.ndarray, " m"]


def judge_run(
  run: LoadedRun,
  train: Dataset,
  held_out: Dataset,
  labels: Int[np.ndarray, " n"] | None,
  seed: int,
) -> tuple[dict[str, Row], dict[str, int]]:
  """Returns `judge` of a run whose game was made of its config, and not passed."""
  loss = game_parts(run.config)["loss"]
  return judge(run.gan, run.state, loss, train, held_out, labels, seed)


def judge(
  gan: Gan,
  state: GanState,
  loss: Loss,
  train: Dataset,
  held_out: Dataset,
  labels: Int[np.ndarray, " n"] | None,
  seed: int,
) -> tuple[dict[str, Row], dict[str, int]]:
  """Returns the discriminator's accuracy on held-out and on training data, beside samples.

  Without augmentation and in inference mode; by `discriminator_accuracy`, or by `logit_difference`
  for a loss that does not decide. Samples are those of `sampling.samples`, before they are rounded,
  for the data need not be; at most MOST of each kind.

  Args:
    gan: the players.
    state: their weights.
    loss: with its options bound.
    train: what the run was trained on.
    held_out: others of its kind.
    labels: [N], the classes of the samples, of a conditional run; else None.
    seed: of the samples' latents and of the choice of data.

  Returns:
    Two rows, of held-out and of training data, without a direction or a reference; and how many
    examples of each kind they are of, as an evaluation calls them.

  Raises:
    UserError: too few examples for a discriminator that judges several at once, logits that are
      not finite, or a loss that has none but of a whole batch.
  """
  if loss.witness:
    raise UserError("the loss compares whole batches: its discriminator judges no example alone")
  judged, counts = judged_logits(gan, state, train, held_out, labels, seed)
  rows = {}
  for name in _COUNTS:
    number, row = _row(loss, getattr(judged, name), judged.samples)
    rows[f"discriminator_{number}_{name}"] = row
  return rows, counts


def judged_logits(
  gan: Gan,
  state: GanState,
  train: Dataset,
  held_out: Dataset,
  labels: Int[np.ndarray, " n"] | None,
  seed: int,
  most: int = MOST,
) -> tuple[Judged, dict[str, int]]:
  """Returns the logits that `judge` is of, and how many examples of each kind they are of.

  Arguments are those of `judge`; at most `most` examples of each kind are chosen.

  Raises:
    UserError: too few examples for a discriminator that judges several at once.
  """
  key, rng = jax.random.key(seed), np.random.default_rng(seed)
  count = _whole(most if labels is None else min(most, len(labels)), gan)
  found = {"samples": _joined(_fake_logits(gan, state, key, count, labels))}
  counts = {"samples": count}
  for name, data in {"held_out": held_out, "train": train}.items():
    chosen = rng.permutation(len(data.images))[: _whole(min(most, len(data.images)), gan)]
    counts[_COUNTS[name]] = len(chosen)
    found[name] = _joined(_real_logits(gan, state, data, chosen, labels is not None))
  return Judged(**found), counts


def _row(loss, reals, fakes):
  count = min(len(reals), len(fakes))
  if decides(loss):
    value = discriminator_accuracy(loss, reals, fakes)
    return "accuracy", Row(value.value, *_interval(value, SHARE, count), None, None)
  value = logit_difference(reals, fakes)
  return "difference", Row(value.value, *_interval(value, ANY, None), None, None)


def _interval(value: Value, bounds, count):
  return score_interval(value.value, value.standard_error, stats.norm.ppf(0.975), bounds, count)


def _whole(count: int, gan: Gan) -> int:
  """The examples that whole rows of a discriminator are made of."""
  if count < gan.packing:
    raise UserError(
      f"the discriminator judges {gan.packing} examples at once, and there are {count}: take more"
    )
  return count // gan.packing * gan.packing


def _joined(parts: Iterator[Array]) -> Float[np.ndarray, " n"]:
  return np.concatenate([np.asarray(part) for part in parts])


def _batches(count: int, gan: Gan) -> Iterator[tuple[np.ndarray, int]]:
  """Numbers of examples, as many in each batch, and how many of its logits are new."""
  size = _whole(max(sampling.BATCH_SIZE, gan.packing), gan)
  for start in range(0, count, size):
    new = min(size, count - start)
    yield start + np.arange(size) % new, new // gan.packing


def _fake_logits(gan, state, key, count, labels):
  for numbers, new in _batches(count, gan):
    chosen = None if labels is None else labels[numbers]
    yield _compiled(_judge_fakes)(gan, state, key, numbers, chosen)[:new]


def _real_logits(gan, state, data, chosen, conditional):
  for numbers, new in _batches(len(chosen), gan):
    batch = chosen[numbers]
    labels = data.labels[batch] if conditional else None
    yield _compiled(_judge_reals)(gan, state, data.images[batch], labels)[:new]


@functools.cache
def _compiled(function: Callable[..., Array]) -> Callable[..., Array]:
  return compiled(function, static_argnums=0)


def _judge_fakes(
  gan: Gan,
  state: GanState,
  key: Key[Array, ""],
  numbers: Int[Array, " b"],
  labels: Int[Array, " b"] | None,
) -> Float[Array, " r"]:
  latents = jax.vmap(lambda number: gan.sample_latent(jax.random.fold_in(key, number)))(numbers)
  return _logits(gan, state, sampling.images(gan, state, latents, labels), labels)


def _judge_reals(
  gan: Gan, state: GanState, images: Array, labels: Int[Array, " b"] | None
) -> Float[Array, " r"]:
  return _logits(gan, state, to_range(images, gan.image_range), labels)


def _logits(
  gan: Gan, state: GanState, images: Float[Array, "b ..."], labels: Int[Array, " b"] | None
) -> Float[Array, " r"]:
  player, shown = state.discriminator, pack(images, gan.packing)
  returned, _ = gan.discriminator.apply(
    player.params, player.model_state, shown, labels, train=False
  )
  return as_outputs(returned, jnp.shape(shown)[0]).logits
