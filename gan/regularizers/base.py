"""What a regulariser is: a term of a player's objective, or what acts on a step; and its state."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jaxtyping import Array, Bool, Float, Int, Key

from gan.networks import Gan, Outputs, Params
from gan.penalties import AugmentedCritic
from gan.state import Hyperparameters
from gan.system.recipe import Maker, Recipe

Term = tuple[Array, dict[str, Array]]  # [B] or [], and metrics, [] each


class View(NamedTuple):
  """What a regulariser may look at, in either player's objective.

  Attributes:
    real: [B, ...] data, in the range of the model.
    fake: [B, ...] generated from `latents`, before any augmentation.
    shown_real: [R, ...] what the discriminator was shown of the data: augmented and packed; R = B
      without packing.
    shown_fake: the same of `fake`.
    real_outputs: Outputs of the discriminator for `shown_real`.
    fake_outputs: Outputs for `shown_fake`.
    critic: examples [R, ...] -> logits [R], through the augmentation, with running statistics: one
      example never sees another. It has the draws of `shown_real`; `critic.on_fake` has those of
      `shown_fake`.
    generate: latents [B, Z] -> examples [B, ...], by the generator as the objective has it.
    latents: [B, Z].
    labels: [B] of the data, or None.
    fake_labels: [B] of the generated examples, or None.
    keys: [B], one for each example, of the regulariser's own: by its place among those of the game,
      and the same in its terms and its update.
    hyper: the numbers of this step, schedules included.
    step: int32 [], steps before this one.
    axis_name: mapped axes that hold the rest of the batch.
    params: parameters of the generator and of the discriminator, as the objective has them.
    stages: of a generator with a mapping network, latents [B, Z] -> styles [B, L, S] and styles ->
      examples, by the generator as the objective has it; None for any other.
    parts: equal parts of the batch, of which this is one: `Game.accumulate`.
    thresholds: [R] or [], logits above which the discriminator judges data right, and below which
      samples, by its loss; None in the generator's objective.

  Examples:
    A term that draws the logits of an example and of the sample beside it together:

    >>> import gan, jax, jax.numpy as jnp
    >>> def near(view, state):
    ...   gap = view.critic(view.real) - view.critic.on_fake(view.fake)
    ...   return jnp.square(gap), {"near": jnp.mean(jnp.square(gap))}
    >>> players = gan.models.build("points", gan.ModelSpec((2,), latent_dim=4, width=8))
    >>> terms = {"near": gan.Regularizer(discriminator=near)}
    >>> game = gan.Game(**players._asdict(), regularizers=terms)
    >>> state = game.init(jax.random.key(0))
    >>> _, metrics = game.step(state, jnp.ones((16, 2)), jax.random.key(1))
    >>> bool(metrics["near"] > 0)
    True
  """

  real: Float[Array, "b ..."]
  fake: Float[Array, "b ..."]
  shown_real: Float[Array, "r ..."]
  shown_fake: Float[Array, "r ..."]
  real_outputs: Outputs
  fake_outputs: Outputs
  critic: AugmentedCritic
  generate: Callable[[Array], Array]
  latents: Float[Array, "b z"]
  labels: Int[Array, " b"] | None
  fake_labels: Int[Array, " b"] | None
  keys: Key[Array, " b"]
  hyper: Hyperparameters
  step: Int[Array, ""]
  axis_name: Any = ()
  params: tuple[Params, Params] | None = None
  stages: tuple[Callable[[Array], Array], Callable[[Array], Array]] | None = None
  parts: int = 1
  thresholds: tuple[Array, Array] | None = None


def nothing(key: Key[Array, ""], gan: Gan) -> dict:
  """The state of a regulariser that keeps none."""
  del key, gan
  return {}


class Regularizer(NamedTuple):
  """A term of the players' objectives, with a state of its own where it needs one.

  It may act on the step beside it, by `controls`, `exchange`, `weigh` and `backward`.

  Attributes:
    init: `(key, gan) -> state`, arrays only; kept in `GanState.aux_state` under the regulariser's
      name. `gan` holds the two players; their `init(key)` needs no example of inputs here.
    discriminator: `(view, state) -> (term, metrics)`, or None; the mean of the term, [B] or [], is
      weighted and added to the discriminator's loss; metrics are [] each, by names that begin with
      the regulariser's.
    generator: the same for the generator's loss; its metric is kept where both have one of a name.
    update: `(view, state) -> state`, once with each update of the discriminator, of what its
      objective saw; or None. No gradient flows through it. A mean over the batch is its own to take
      over devices too: `jax.lax.pmean(mean, view.axis_name)`. Of a batch in parts each part's
      update starts from the same state; floating-point numbers then become their mean over parts,
      others are those of the last.
    needs: fields of Outputs that the discriminator has to return beside logits.
    reads: names of `Hyperparameters` that it reads from `view.hyper`, beside its weight.
    default_weight: in a game that gives it no other; of an entry's parts it is the entry's. None
      for one that has no weight: its terms, if any, count as they are.
    controls: `(state, hyper) -> []` by the name of a number of Hyperparameters, whose value for the
      step it returns, after schedules; or None. `hyper` has the numbers before any control. No
      schedule moves such a number, no other regulariser controls it, and some part reads it.
    exchange: `(keys, hyper, state) -> bool [B]`, or None: the data in whose place the
      discriminator's objective has samples, as constants; one key for each example. They are of
      latents of their own, and not the samples beside them: the generator makes as many more.
      Its penalty and its regularisers see these as data, and their labels are those of the samples.
      The generator's objective has the data as they are, where its loss looks at them.
    weigh: `(view, state) -> [R]`, or None: weights of the generator's loss of each sample, of mean
      1 over the batch. A loss that compares samples with data or with each other is refused, and
      a zero-sum one under an update rule that differentiates through gradients.
    backward: `(gradient [B, ...], state, axis_name) -> (gradient, state)`, or None: what becomes of
      the gradient of the generator's objective in the samples, as the discriminator hands it on.
      The state, floats alone, moves with each update of the generator; of a batch in parts it is
      the mean over parts. Update rules that differentiate through gradients are refused.
    needs_threshold: whether it goes by the sides of `view.thresholds`: losses without a logit at
      which the discriminator decides, and energies of an autoencoder, are refused.
    recipe: how it was made by its entry, or None.

  Examples:
    >>> import gan, jax.numpy as jnp
    >>> drift = gan.Regularizer(discriminator=lambda view, state: (view.real_outputs.logits**2, {}))
    >>> players = gan.models.build("points", gan.ModelSpec((2,), latent_dim=4, width=8))
    >>> game = gan.Game(
    ...   **players._asdict(),
    ...   regularizers={"drift": drift},
    ...   hyperparameters={"drift_weight": 1e-3},
    ... )
    >>> game.default_hyperparameters().regularizer_weights
    {'drift': Array(0.001, dtype=float32)}
  """

  init: Callable[[Key[Array, ""], Gan], Any] = nothing
  discriminator: Callable[[View, Any], Term] | None = None
  generator: Callable[[View, Any], Term] | None = None
  update: Callable[[View, Any], Any] | None = None
  needs: tuple[str, ...] = ()
  reads: tuple[str, ...] = ()
  default_weight: float | None = 1.0
  controls: Mapping[str, Callable[[Any, Hyperparameters], Array]] | None = None
  exchange: Callable[[Array, Hyperparameters, Any], Bool[Array, " b"]] | None = None
  weigh: Callable[[View, Any], Float[Array, " r"]] | None = None
  backward: Callable[[Array, Any, Any], tuple[Array, Any]] | None = None
  needs_threshold: bool = False
  recipe: Recipe | None = None


@dataclasses.dataclass(frozen=True)
class Entry(Maker):
  """A regulariser by name, and what is known about it.

  Attributes:
    make: `(**options) -> Regularizer`.
    default_weight: of the source; None for a part that has no weight, and no flag for one.
    summary: the term.
    source: paper.
    options: fields of a config that `make` takes.
    needs: fields of Outputs that every regulariser of it needs, beside those that one states.
    metrics: name -> meaning, of those that it adds to a step; each begins with its own name.
    images: whether it is of images alone, and points are refused.
    same_size: whether latents must be of as many numbers as an example.
  """

  default_weight: float | None
  summary: str
  source: str
  options: tuple[str, ...] = ()
  needs: tuple[str, ...] = ()
  metrics: Mapping[str, str] = dataclasses.field(default_factory=dict, hash=False)
  images: bool = False
  same_size: bool = False

  def known(self, part: Regularizer) -> dict[str, Any]:
    """Returns the weight, which a part has without being told, and the needs of both."""
    needs = tuple(dict.fromkeys((*self.needs, *part.needs)))
    return {"default_weight": self.default_weight, "needs": needs}
