"""Instance noise: its size, its end, and that both players feel it."""

import jax.numpy as jnp
import numpy as np
import toys

from gan import augment
from gan.method.game import Examples
from gan.method.objectives import example_keys, generator_objective


def test_instance_noise_falls_linearly_to_zero():
  found = [float(augment.annealed(jnp.float32(0.4), jnp.int32(t), 4)) for t in (0, 1, 2, 4, 9)]
  np.testing.assert_allclose(found, [0.4, 0.3, 0.2, 0, 0], rtol=1e-6)


def test_instance_noise_has_its_standard_deviation_and_is_independent_between_examples():
  keys = example_keys(toys.key(0), jnp.arange(500))
  noise = augment.instance_noise(jnp.zeros((500, 8)), jnp.float32(0.7), keys)
  np.testing.assert_allclose(jnp.std(noise), 0.7, rtol=0.05)
  assert jnp.max(jnp.abs(jnp.corrcoef(noise.T) - jnp.eye(8))) < 0.2
  assert len(np.unique(noise)) == noise.size


def test_discriminator_sees_noise_on_data_and_samples_and_the_generator_feels_it():
  noisy = toys.make_game(
    toys.tanh_gan(), augment=augment.make_instance_noise(instance_noise_steps=10)
  )
  clean = toys.make_game(toys.tanh_gan())
  (_, here), (_, there), (_, late) = (
    toys.objective(noisy, instance_noise=0.5),
    toys.objective(clean),
    toys.objective(noisy, 10, instance_noise=0.5),
  )
  for name in ("real_logit", "fake_logit"):
    assert here[name] != there[name]
    np.testing.assert_allclose(late[name], there[name], rtol=1e-6)
  state, examples = toys.start(noisy, instance_noise=0.5), Examples(toys.points()[0], None)
  args = state, examples, toys.key(7)
  value = lambda game: generator_objective(state.generator.params, game, *args)[0]  # noqa: E731
  assert value(noisy) != value(clean)
