"""What discriminators return beside logits where it is asked for: features, the last direction."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan import models
from gan.errors import UserError
from gan.models import MODELS, ModelSpec, check_outputs
from gan.networks import Outputs

ASKED = ("features", "last_weight")
CASES = {
  "mlp": ModelSpec((4, 4, 1), latent_dim=2),
  "dcgan": ModelSpec((8, 8, 1), latent_dim=2, width=4, discriminator_hidden=6),
  "infogan": ModelSpec((4, 4, 1), latent_dim=2),
  "goodfellow": ModelSpec((4, 4, 1), latent_dim=2),
  "points": ModelSpec((2,), latent_dim=2, width=4),
  "pacgan": ModelSpec((2,), latent_dim=2),
  "resnet": ModelSpec((8, 8, 1), latent_dim=2, width=4, discriminator_norm="none"),
  "biggan": ModelSpec((8, 8, 1), latent_dim=2, width=4, discriminator_norm="none"),
  "sagan": ModelSpec((8, 8, 1), latent_dim=2, width=4, discriminator_norm="none"),
  "sndcgan": ModelSpec((8, 8, 1), latent_dim=2, width=4, discriminator_norm="none"),
}
OF_64_PIXELS = {"firstgan_dcgan", "tutorial_dcgan"}  # of dcgan's own discriminator


def judged(name, spec, labels=None):
  """What D returns of three examples, plain and asked, with random parameters."""
  rng, found = np.random.default_rng(0), []
  examples = jnp.asarray(rng.uniform(0, 1, (3, *spec.image_shape)), jnp.float32)
  for outputs in ((), ASKED):
    network = models.build(name, spec._replace(outputs=outputs)).discriminator
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    if not found:
      variables = jax.tree.map(lambda leaf: 0.2 * rng.standard_normal(leaf.shape, "f"), shapes)
    assert jax.tree.map(jnp.shape, variables) == jax.tree.map(jnp.shape, shapes)
    apply = jax.jit(lambda *given, network=network: network.apply(*given, train=False)[0])
    found.append(apply(*variables, examples, labels))
  return found


def test_every_model_that_can_is_under_test():
  able = {name for name, model in MODELS.items() if {*ASKED} <= {*model.outputs}}
  assert able == {*CASES} | OF_64_PIXELS


@pytest.mark.parametrize("name", ["mlp", "dcgan", "points", "pacgan", "resnet", "sndcgan"])
def test_the_logit_is_the_features_on_the_last_direction_and_stays_as_it_was(name):
  plain, asked = judged(name, CASES[name])
  assert isinstance(plain, jax.Array) and isinstance(asked, Outputs)
  np.testing.assert_array_equal(asked.logits, plain)
  assert asked.features.dtype == jnp.float32 and jnp.std(asked.features) > 0
  projected = asked.features @ asked.last_weight
  bias = asked.logits - projected
  scale = np.abs(asked.features) @ np.abs(asked.last_weight)
  np.testing.assert_allclose(bias, np.full(3, bias[0]), atol=1e-6 * scale.max())


def test_spectral_normalisation_leaves_the_direction_as_it_is():
  _, asked = judged("resnet", CASES["resnet"]._replace(discriminator_norm="spectral"))
  projected = asked.features @ asked.last_weight
  np.testing.assert_allclose(asked.logits / asked.logits[0], projected / projected[0], rtol=1e-4)


def test_features_stand_beside_the_class_logits_of_an_auxiliary_classifier():
  spec = CASES["resnet"]._replace(num_classes=2, conditioning="acgan")
  plain, asked = judged("resnet", spec, jnp.arange(3) % 2)
  np.testing.assert_array_equal(asked.class_logits, plain.class_logits)
  assert asked.features.shape[0] == 3 and asked.last_weight.ndim == 1


def test_only_what_is_asked_is_returned():
  network = models.build("points", CASES["points"]._replace(outputs=("features",))).discriminator
  variables = jax.eval_shape(network.init, jax.random.key(0))
  outputs = jax.eval_shape(lambda *given: network.apply(*given, train=False)[0], *variables, X)
  assert outputs.features.shape == (3, 4) and outputs.last_weight is None


X = jnp.zeros((3, 2))


def test_what_a_model_cannot_return_is_one_line():
  spec = ModelSpec((8, 8, 3), latent_dim=2, width=8, outputs=("features",))
  with pytest.raises(UserError, match="`outputs=features` .* `model=r3gan` .* choose from mlp, "):
    models.build("r3gan", spec)
  with pytest.raises(UserError, match="with labels each class has its own: leave out"):
    models.build("points", CASES["points"]._replace(num_classes=2, outputs=ASKED))
  check_outputs("resnet", "loss=x", ASKED, "acgan", conditional=True)
