"""The rule of ADA: its strength by hand, when it moves; parts and devices do not matter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

from gan.augment import Augmentation
from gan.errors import UserError
from gan.losses import LOSSES
from gan.method.acting import has_threshold
from gan.method.game import Batch, Examples
from gan.method.updates import discriminator_update
from gan.networks import Outputs
from gan.regularizers import SignRule, View, make_ada, make_apa
from gan.training.config import Config
from gan.training.validation import validate


def strengths(rule, means, strength=0.0):
  """The strength after each update, of four data whose logits have such means of signs about 1."""
  kept, found = rule.init(None, toys.tanh_gan()) | {"strength": jnp.float32(strength)}, []
  fields = {name: None for name in View._fields} | {"axis_name": (), "parts": 1}
  fields |= {"thresholds": (jnp.float32(1), jnp.float32(-9))}
  for mean in means:
    positive = round(2 + 2 * mean)
    logits = jnp.where(jnp.arange(4) < positive, 3.0, 0.2)
    view = View(**fields | {"real": jnp.zeros((4, 2)), "real_outputs": Outputs(logits)})
    kept = rule.update(view, kept)
    found.append(float(rule.strength(kept)))
  return found


def test_the_strength_moves_on_its_interval_by_the_signs_since_the_last():
  rule = SignRule(target=0.6, every=2, speed=80)  # 8 images of two updates are a tenth
  # Means of two updates: 0.75, 0.5 (below the target, though the last is above), -0.5, 1.
  found = strengths(rule, [1, 0.5, 0, 1, -0.5, -0.5, 1, 1], strength=0.5)
  np.testing.assert_allclose(found, [0.5, 0.6, 0.6, 0.5, 0.5, 0.4, 0.4, 0.5], rtol=1e-6)


def test_at_its_target_the_strength_stays_and_it_stays_between_0_and_1():
  assert strengths(SignRule(target=0.5, every=1, speed=8), [0.5], strength=0.25) == [0.25]
  rule = SignRule(target=0.6, every=1, speed=5)
  found = strengths(rule, [-1, 1, 1, 1, 0])
  np.testing.assert_allclose(found, [0, 0.8, 1, 1, 0.2], rtol=1e-6)


def test_the_defaults_are_those_of_the_source():
  # 64 images an update, four updates, 500 thousand images: 5.12e-4.
  rule = SignRule()
  kept = {"strength": 0.0, "signs": 4.0, "images": 256.0, "updates": 4}
  np.testing.assert_allclose(rule.strength(jax.tree.map(jnp.asarray, kept)), 5.12e-4, rtol=1e-6)


@pytest.mark.parametrize(
  ("loss", "mean"),
  # Logits 0.4, 0.8, 3 and -1 about 0, and halfway between the targets 0 and 1, and about f'(1) = 1.
  [("nonsat", 0.5), ("lsgan", 0.0), ("fgan_kl", -0.5)],
)
def test_signs_are_about_the_logit_at_which_the_loss_decides(loss, mean):
  data = jnp.array([[0.4], [0.8], [3.0], [-1.0]])
  game = toys.make_game(
    toys.dirac_gan(0.5, 1.0),
    loss=loss,
    regularizers={"ada": make_ada()},
    augment=Augmentation(lambda images, keys, state: images, reads=("augment_strength",)),
  )
  update = discriminator_update(game, toys.start(game), Examples(data, None), toys.key(0))
  assert update.metrics["ada_sign"] == mean


def test_losses_without_such_a_logit_are_refused_and_say_why():
  without = {"wgan", "cramer", "rsgan", "ragan", "ralsgan", "rahinge", "ebgan", "began", "mmd"}
  without |= {name for name in LOSSES if name.startswith("rp_")}
  assert {name for name, loss in LOSSES.items() if not has_threshold(loss)} == without
  for refused in (
    lambda: toys.make_game(toys.tanh_gan(), loss="wgan", regularizers={"apa": make_apa()}),
    lambda: validate(Config(model="points", loss="ragan", augment_control="apa")),
  ):
    with pytest.raises(
      UserError, match="apa goes by the logit .* there is none: .*hinge"
    ) as caught:
      refused()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("option", [{"ada_target": 1.0}, {"ada_every": 0}, {"ada_speed": -1}])
def test_what_cannot_be_a_rule_is_one_line(option):
  (name,) = option
  with pytest.raises(UserError, match=f"^`{name}=.* must be"):
    make_ada(**option)


def test_parts_of_a_batch_and_two_devices_move_the_strength_as_one_whole_batch():
  def run(axis_name=(), **choices):
    game = toys.make_game(
      toys.tanh_gan(),
      regularizers={"ada": make_ada(ada_target=-0.5, ada_every=2, ada_speed=160)},
      augment=Augmentation(
        lambda images, keys, state: images * (1 - state.hyperparameters.augment_strength),
        reads=("augment_strength",),
      ),
      axis_name=axis_name,
      **choices,
    )
    step = jax.jit(toys.over_two_devices(game.step) if axis_name else game.step)
    state, found = toys.start(game), []
    for seed in range(7):
      points = jax.random.normal(jax.random.key(seed), (1, 8, 2))
      state, metrics = step(state, Batch(points, None), toys.key(0))
      found.append([metrics["ada_strength"], metrics["ada_sign"]])
    return np.array(found)

  whole, parts, devices = run(), run(accumulate=4), run("batch")
  moves = np.diff(whole[:, 0])
  np.testing.assert_allclose(np.abs(moves[1::2]), 0.1, rtol=1e-5)
  assert not moves[::2].any()
  np.testing.assert_allclose(parts, whole, rtol=1e-6, atol=1e-7)
  np.testing.assert_allclose(devices, whole, rtol=1e-6, atol=1e-7)
