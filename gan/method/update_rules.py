"""How the updates of two players make a step of the game.

A rule is a pair: `init` makes what it keeps from step to step, and `step(game, state, minibatches,
key) -> (state, metrics)` is a pure function that composes with any loss, penalty and optimiser, and
with `vmap` and `shard_map`. `minibatches` is a list with one entry for each discriminator update of
the step. Loops are unrolled: in the body of a loop XLA's CPU backend runs the kernel's gradient of
a convolution about 100 times slower, but for that of our own layers (`layers/plain.py`).
"""

import dataclasses

from gan.errors import UserError
from gan.method.alternating import (
  alternating,
  alternating_generator_first,
  lookahead,
  unrolled,
  unrolled_objective,
)
from gan.method.drifting import drifting
from gan.method.rule import UpdateRule
from gan.method.simultaneous import consensus, extragradient, optimistic, simultaneous
from gan.system.recipe import Maker

__all__ = [
  "UPDATE_RULES",
  "Entry",
  "UpdateRule",
  "adversarial_rules",
  "alternating",
  "alternating_generator_first",
  "check_updates",
  "consensus",
  "drifting",
  "extragradient",
  "lookahead",
  "optimistic",
  "simultaneous",
  "unrolled",
  "unrolled_objective",
]


@dataclasses.dataclass(frozen=True)
class Entry(Maker):
  """A rule by name, and what is known about it.

  Attributes:
    make: `(**options) -> UpdateRule`.
    summary: what a step does.
    source: paper.
    options: fields of a config that `make` takes.
  """

  summary: str
  source: str
  options: tuple[str, ...] = ()


UPDATE_RULES: dict[str, Entry] = {
  "alternating": Entry(
    alternating,
    "K discriminator updates, then the generator",
    "Goodfellow et al. 2014, Algorithm 1, arXiv:1406.2661",
    ("shared_latents",),
  ),
  "alternating_generator_first": Entry(
    alternating_generator_first,
    "the generator, then K discriminator updates on fakes from before",
    "https://github.com/s-abdullah/FirstGAN",
  ),
  "simultaneous": Entry(
    simultaneous,
    "both gradients at the same point",
    "https://github.com/goodfeli/adversarial",
  ),
  "extragradient": Entry(
    extragradient,
    "from here, along the gradients of the point one step ahead",
    "Gidel et al. 2019, arXiv:1802.10551",
  ),
  "optimistic": Entry(
    optimistic,
    "simultaneous; each step is twice the present one less the last",
    "Daskalakis et al. 2018, arXiv:1711.00141",
  ),
  "consensus": Entry(
    consensus,
    "simultaneous, plus the gradient of the squared norm of both gradients",
    "Mescheder et al. 2017, arXiv:1705.10461",
    ("consensus_weight",),
  ),
  "unrolled": Entry(
    unrolled,
    "the generator differentiates through K foreseen discriminator updates",
    "Metz et al. 2017, arXiv:1611.02163",
    ("unrolled_steps",),
  ),
  "lookahead": Entry(
    lookahead,
    "alternating; every k steps both players go part of the way back",
    "Chavdarova et al. 2021, arXiv:2006.14567",
    ("lookahead_steps", "lookahead_alpha", "shared_latents"),
  ),
  "drifting": Entry(
    drifting,
    "no discriminator: the generator follows a field from its samples to the data; experimental",
    "Drifting 2026, arXiv:2602.04770",
    ("drifting_radii",),
  ),
}


def adversarial_rules() -> list[str]:
  """Returns the names of the rules by which both players play a loss."""
  return [name for name, entry in UPDATE_RULES.items() if entry.make().adversarial]


def check_updates(
  rule: UpdateRule, discriminator_steps: int, accumulate: int, update_rule: str | None = None
) -> None:
  """Checks that a rule can hold so many discriminator updates, of batches in so many parts.

  Args:
    rule: how updates make a step.
    discriminator_steps: discriminator updates in a step.
    accumulate: parts of a batch.
    update_rule: key of UPDATE_RULES where the choices are flags; None where a rule was passed.

  Raises:
    UserError: the rule is defined for one update only, or for whole batches.
  """
  name = f"`update_rule={update_rule}`" if update_rule else "this `update_rule`"
  if discriminator_steps > 1 and not rule.several:
    what = "`discriminator_steps`" if update_rule else "the first axis of a gan.Batch"
    raise UserError(
      f"{name} makes one update a step: {what} must be 1, not {discriminator_steps}; "
      f"{_those('several')} take more"
    )
  if accumulate > 1 and not rule.in_parts:
    raise UserError(
      f"{name} needs the whole batch at once: `accumulate` must be 1, not {accumulate}; "
      f"{_those('in_parts')} take more"
    )


def _those(ability: str) -> str:
  return ", ".join(
    name for name, rule in UPDATE_RULES.items() if getattr(rule.make(), ability, False)
  )
