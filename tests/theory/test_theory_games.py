"""Small games of known trajectories, played by the project's own step: Dirac-GAN, bilinear game."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan.method.update_rules import adversarial_rules
from gan.theory import bilinear, dirac


@pytest.fixture
def x64():
  with jax.enable_x64(True):
    yield


@functools.cache
def radii(schedule):
  """{method: distance from the equilibrium after each of 500 steps} of the deterministic ones."""
  methods = {
    name: method
    for name, method in dirac.METHODS.items()
    if not method.instance_noise and bool(method.consensus_weight) == ("consensus" in schedule)
  }
  paths = dirac.play(list(methods.values()), schedule, 500)
  return dict(zip(methods, np.linalg.norm(paths, axis=2), strict=True))


@pytest.mark.parametrize(
  "method, schedule, radius",
  [
    ("GAN", "simultaneous", 3.10),
    ("NSGAN", "simultaneous", 0.640),
    ("NSGAN", "generator_first", 0.284),
    ("WGAN, clip 1", "simultaneous", 1.00),
    ("WGAN-GP", "simultaneous", 1.80),
    ("R1 0.3", "simultaneous", 2.64e-6),
    ("R1 0.3", "generator_first", 2.30e-7),
    ("R1 1", "simultaneous", 9.5e-22),
    ("R1 1", "generator_first", 7.5e-17),
    ("NSGAN, R1 0.3", "simultaneous", 2.21e-6),
    ("NSGAN, R1 0.3", "generator_first", 1.50e-7),
    ("consensus 1", "consensus", 2.578553e-10),  # see dirac.consensus_radius
    ("consensus 1", "consensus_generator_first", 1.724103e-11),
  ],
)
def test_dirac_gan_ends_at_the_published_radius(x64, method, schedule, radius):
  found = radii(schedule)[method][-1]
  if radius < 1e-10 and "consensus" not in schedule:
    assert radius / 3 < found < 3 * radius
  else:
    np.testing.assert_allclose(found, radius, rtol=0.01)


@pytest.mark.parametrize(
  "method, schedule, low, high",
  [
    ("GAN", "generator_first", 1.34, 1.42),
    ("WGAN, clip 1", "simultaneous", 1.00, 1.27),
    ("WGAN, clip 1", "generator_first", 0.95, 1.05),
    ("WGAN-GP", "simultaneous", 1.62, 1.97),
    ("WGAN-GP", "generator_first", 1.14, 1.44),
  ],
)
def test_dirac_gan_circles_within_the_published_radii(x64, method, schedule, low, high):
  found = radii(schedule)[method][-100:]
  assert found.min() > low - 0.01 and found.max() < high + 0.01


@pytest.mark.parametrize("alternating, quoted", [(False, 2.08e-10), (True, 1.33e-11)])
def test_consensus_radius_differs_from_the_notebook_by_its_half_term(alternating, quoted):
  radius = functools.partial(dirac.consensus_radius, alternating=alternating)
  np.testing.assert_allclose(radius(0.5), quoted, rtol=0.01)
  assert radius(1.0) > 1.2 * radius(0.5)


@pytest.mark.parametrize("schedule", ["simultaneous", "generator_first"])
def test_instance_noise_takes_the_dirac_gan_to_the_noise_of_its_samples(x64, schedule):
  # 1000 samples of noise a step, as in the notebook; there the radius ends near 0.017.
  path = dirac.play([dirac.METHODS["instance noise 0.7"]], schedule, 500)[0]
  assert 0.003 < np.linalg.norm(path[-100:], axis=1).mean() < 0.05


# f'(0) = 1/2: eigenvalues of the field are -gamma/2 +- sqrt(gamma^2/4 - 1/4). A step in which D
# moves before G has the same eigenvalues as one in which G moves before D (of AB and BA).
SPECTRA = [
  ("GAN", "simultaneous", 1, [1.004988, 1.004988]),  # sqrt(1 + h^2/4)
  ("GAN", "alternating", 1, [1.0, 1.0]),
  ("GAN", "alternating", 5, [1.0, 1.0]),
  ("R1 0.3", "simultaneous", 1, [0.974679, 0.974679]),
  ("R1 1", "simultaneous", 1, [0.9, 0.9]),
  ("R1 2", "simultaneous", 1, [0.973205, 0.626795]),
  ("R1 0.3", "alternating", 1, [0.969536, 0.969536]),
  ("R1 0.3", "alternating", 5, [0.856682, 0.856682]),
  ("R1 1", "alternating", 1, [0.927016, 0.862984]),
]


@functools.cache
def moduli(schedule, steps):
  names = ("GAN", "R1 0.3", "R1 1", "R1 2")
  methods = [dirac.METHODS[name] for name in names]
  found = dirac.moduli(methods, schedule, discriminator_steps=steps)
  return dict(zip(names, found, strict=True))


@pytest.mark.parametrize("method, schedule, steps, expected", SPECTRA)
def test_update_operator_has_the_published_spectrum(x64, method, schedule, steps, expected):
  # The critical value gamma = 1 is a double eigenvalue: rounding moves it by its square root.
  np.testing.assert_allclose(moduli(schedule, steps)[method], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("method, schedule, steps, expected", SPECTRA)
def test_closed_form_has_the_published_spectrum(method, schedule, steps, expected):
  gamma, steps = dirac.METHODS[method].penalty_weight, None if schedule == "simultaneous" else steps
  found = dirac.exact_moduli(0.5, gamma, 0.2, steps)
  np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_velocity_of_the_dirac_gan_is_that_of_its_paper(x64):
  # theta' = psi s(theta psi) and psi' = -theta s(theta psi), s(0) = 1/2: their f' with -psi.
  points = jnp.array([[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]])
  s = 1 / (1 + np.exp(1.0))
  expected = [[0.0, -0.5], [0.5, 0.0], [-s, -s]]
  np.testing.assert_allclose(dirac.field(dirac.METHODS["GAN"], points), expected, atol=1e-12)


# The bilinear game.


def play(update_rule, rate=0.1, steps=200, gamma=2.0, **choices):
  method = dirac.Method("wgan", consensus_weight=gamma)
  return dirac.play([method], update_rule, steps, rate=rate, **choices)[0]


@pytest.mark.parametrize("update_rule", adversarial_rules())
def test_every_rule_plays_the_bilinear_game_as_its_matrix_does(x64, update_rule):
  expected = bilinear.trajectory(update_rule, 0.1, 200, consensus_weight=2.0)
  np.testing.assert_allclose(play(update_rule), expected, atol=1e-12)


def test_lookahead_with_another_share_plays_as_its_matrix_does(x64):
  choices = {"lookahead_alpha": 0.25, "lookahead_steps": 3}
  expected = bilinear.trajectory("lookahead", 0.1, 60, **choices)
  np.testing.assert_allclose(play("lookahead", steps=60, **choices), expected, atol=1e-12)


def growth(update_rule, steps, **choices):
  """Radius after so many steps at the rate .1, by that at the start."""
  return np.linalg.norm(bilinear.trajectory(update_rule, 0.1, steps, **choices)[-1]) / 2**0.5


def test_matrices_of_the_bilinear_game_have_the_known_growth():
  # sqrt(1 + h^2) a step; sqrt((1 - h^2)^2 + h^2); |1 - h gamma - ih|.
  np.testing.assert_allclose(growth("simultaneous", 200), 2.70481, rtol=1e-5)
  np.testing.assert_allclose(growth("extragradient", 2000) * 2**0.5, 6.754e-5, rtol=1e-3)
  found = growth("consensus", 10, consensus_weight=2.0)
  np.testing.assert_allclose(found, (0.8**2 + 0.1**2) ** 5, rtol=1e-12)
  assert growth("lookahead", 200) < 0.6


def test_alternating_play_of_the_bilinear_game_keeps_its_ellipse():
  # theta^2 + psi^2 - h theta psi is kept: from (1, -1) radii within sqrt((1 + h/2)/(1 - h/2)).
  path = bilinear.trajectory("alternating", 0.1, 200)
  kept = np.sum(path**2, axis=1) - 0.1 * path[:, 0] * path[:, 1]
  np.testing.assert_allclose(kept, 2.1, rtol=1e-12)
  found = np.linalg.norm(path, axis=1) / 2**0.5
  assert found.min() > 0.999 and found.max() < 1.0514


def test_optimistic_play_shrinks_by_the_root_of_its_recursion():
  # w_(t+1) = w_t - 2 h v_t + h v_(t-1) with v = i w: m^2 - (1 - 2ih) m - ih = 0, |m| < 1.
  slowest = max(abs(np.roots([1, -(1 - 0.2j), -0.1j])))
  found = np.linalg.norm(bilinear.trajectory("optimistic", 0.1, 400), axis=1)
  np.testing.assert_allclose(found[-1] / found[-2], slowest, rtol=1e-5)
