"""How a loss reads logits off what a discriminator returned: those of its own, or a witness."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from jaxtyping import Array

from gan.losses import Loss
from gan.networks import Network, Outputs, as_outputs

Reading = Callable[[Outputs, str], Array]  # outputs, and the place of a witness -> logits


def read_by(loss: Loss, discriminator: Network) -> Network:
  """Returns a discriminator whose logits are those that a loss makes of what it returns.

  Args:
    loss: one without a logit of its own leaves the discriminator as it is.
    discriminator: that returns what the loss needs.
  """
  return discriminator if loss.logit is None else _read(loss.logit, loss.needs, discriminator)


@functools.lru_cache(maxsize=8)  # one of a game: what is compiled knows it by identity
def _read(logit: Callable, needs: tuple[str, ...], discriminator: Network) -> Network:
  def apply(params: Any, model_state: Any, inputs: Array, *labels: Any, **options: Any) -> tuple:
    made, model_state = discriminator.apply(params, model_state, inputs, *labels, **options)
    outputs = as_outputs(made, len(inputs), dict.fromkeys(needs, "the loss"))
    return outputs._replace(logits=logit(outputs)), model_state

  return discriminator._replace(apply=apply)


def reading(loss: Loss, judged: Sequence[Outputs]) -> Reading:
  """Returns how logits are read off outputs where a batch has been judged.

  Args:
    loss: with its options bound.
    judged: the outputs for the data and for the samples.
  """
  if loss.witness is None:
    return lambda outputs, place: outputs.logits
  return lambda outputs, place: loss.witness(outputs, *judged, place)
