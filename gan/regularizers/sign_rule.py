"""How strong an augmentation has to be, by the signs of D's logits on data."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan.networks import Gan
from gan.regularizers.base import Regularizer, Term, View
from gan.state import Hyperparameters
from gan.system.schema import check, check_whole, within

TARGET = 0.6
EVERY = 4
SPEED = 500_000


class SignRule(NamedTuple):
  """Strength p by the mean sign of D(x) - t on data: p += sign(mean - target) images / speed.

  t is the logit at which the loss has D decide, such as 0 of classifiers and 1/2 of least squares.
  A discriminator that has learnt its data by heart gives all of them logits above it. p starts at
  0 and stays in [0, 1]; the source has no upper bound. It moves once in `every` updates of the
  discriminator, by the signs of all of these. What is kept moves with the update after: a batch in
  parts then has the same p as a whole one.

  Losses that know logits up to a constant, such as relativistic ones, and those of autoencoders
  have no such logit, and a game refuses them.

  See "Training Generative Adversarial Networks with Limited Data" by Karras et al., section 3.1
  (https://arxiv.org/abs/2006.06676), https://github.com/NVlabs/stylegan2-ada-pytorch.

  Attributes:
    target: of the mean sign, in (-1, 1).
    every: updates of the discriminator between moves.
    speed: real images in which p can go from 0 to 1.
  """

  target: float = TARGET
  every: int = EVERY
  speed: int = SPEED

  def checked(self) -> "SignRule":
    """Returns the rule; UserError where a number is out of its range."""
    check("ada_target", self.target, within(-1, 1))
    check_whole("ada_every", self.every, least=1)
    check_whole("ada_speed", self.speed, least=1)
    return self

  def init(self, key: Any, gan: Gan) -> dict[str, Array]:
    """p before the last moves, and since then: sum of mean signs, updates, real images."""
    del key, gan
    floats = {name: jnp.zeros(()) for name in ("strength", "signs", "images")}
    return floats | {"updates": jnp.zeros((), jnp.int32)}

  def strength(self, kept: dict[str, Array], hyper: Hyperparameters | None = None) -> Array:
    """Returns p, [] in [0, 1]."""
    del hyper
    side = jnp.sign(kept["signs"] - self.target * kept["updates"])
    moved = jnp.clip(kept["strength"] + side * kept["images"] / self.speed, 0, 1)
    return jnp.where(kept["updates"] >= self.every, moved, kept["strength"])

  def update(self, view: View, kept: dict[str, Array]) -> dict[str, Array]:
    """What is kept, after one more update of the discriminator."""
    seen = {
      "signs": jax.lax.pmean(mean_sign(view), view.axis_name),
      "images": len(view.real) * view.parts * jax.lax.psum(1.0, view.axis_name),
      "updates": 1,
    }
    over = kept["updates"] >= self.every
    now = {name: jnp.where(over, 0, kept[name]) + each for name, each in seen.items()}
    return {"strength": self.strength(kept)} | now

  def regularizer(self, name: str) -> Regularizer:
    """Returns the regulariser that sets `augment_strength` to p; its metrics begin with `name`."""

    def discriminator(view: View, kept: dict[str, Array]) -> Term:
      del kept
      p = view.hyper.augment_strength
      return jnp.zeros(()), {f"{name}_strength": p, f"{name}_sign": mean_sign(view)}

    return Regularizer(
      self.init,
      discriminator,
      update=self.update,
      default_weight=None,
      needs_threshold=True,
      controls={"augment_strength": self.strength},
    )


def mean_sign(view: View) -> Float[Array, ""]:
  """The mean of sign (D(x) - t) over the data, as the discriminator is shown them."""
  assert view.thresholds is not None, "`needs_threshold` asks for them"
  return jnp.mean(jnp.sign(view.real_outputs.logits - view.thresholds[0]))
