"""Every adversarial loss: values worked by hand, identities, extremes, shapes, options.

The tables are keyed by the names in LOSSES, so a loss without its hand values fails the first test.
"""

import functools
import inspect
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from gan.errors import UserError
from gan.losses import FGAN_GENERATORS, LOSSES, make_loss, of_logits, relativistic_loss
from gan.losses.base import EXP_CAP, bounded_exp
from gan.losses.fgan import DIVERGENCES, jeffrey_log_ratio
from gan.losses.klwgan import density_ratios

EVERY = sorted(of_logits())
AVERAGES = ("ragan", "ralsgan", "rahinge")
PAIRED = ("rsgan", *(name for name in EVERY if name.startswith("rp_")))
FGANS = tuple(name for name in EVERY if name.startswith("fgan_"))

# Every loss with its defaults, and every other value of its options.
VARIANTS = {
  **{name: make_loss(name) for name in EVERY},
  **{f"{name} smoothed": make_loss(name, real_label=0.9) for name in ("sat", "nonsat", "ml")},
  "lsgan Pearson": make_loss("lsgan", lsgan_targets=(-1.0, 1.0, 0.0)),
  **{f"{name} nonsat": make_loss(name, fgan_generator="nonsat") for name in FGANS},
}

REAL = (2.0, -1.0, 0.5)  # r, mean 0.5
FAKE = (1.0, 3.0, -1.0)  # f, mean 1
# softplus (sp) of what the cross-entropies meet:
#   sp(-r) = 0.126928, 1.313262, 0.474077    sp(f) = 1.313262, 3.048587, 0.313262
#   sp(-f) = 0.313262, 0.048587, 1.313262
# differences: r - f = 1, -4, 1.5;  r - mean f = 1, -2, -0.5 =: a;  f - mean r = 0.5, 2.5, -1.5 =: b
_BCE = (1.440190, 4.361849, 0.787339)  # sp(-r) + sp(f)
HAND_VALUES = {
  # name: (discriminator, generator) at REAL, FAKE, and the arithmetic
  "sat": (_BCE, (-1.313262, -3.048587, -0.313262)),  # -sp(f)
  "nonsat": (_BCE, (0.313262, 0.048587, 1.313262)),  # sp(-f)
  "ml": (_BCE, (-2.718282, -20.085537, -0.367879)),  # -e, -e^3, -1/e
  # (1 + 1)/2, (4 + 9)/2, (.25 + 1)/2;  0/2, 4/2, 4/2
  "lsgan": ((1.0, 6.5, 0.625), (0.0, 2.0, 2.0)),
  # 0 + 2, 2 + 4, .5 + 0;  -f
  "hinge": ((2.0, 6.0, 0.5), (-1.0, -3.0, 1.0)),
  "wgan": ((-1.0, 4.0, -1.5), (-1.0, -3.0, 1.0)),  # f - r;  -f
  # sp(-1), sp(4), sp(-1.5);  sp(1), sp(-4), sp(1.5)
  "rsgan": ((0.313262, 4.018150, 0.201413), (1.313262, 0.018150, 1.701413)),
  # [sp(-a) + sp(b)]/2: (.313262 + .974077)/2, (2.126928 + 2.578889)/2, (.974077 + .201413)/2
  # [sp(-b) + sp(a)]/2: (.474077 + 1.313262)/2, (.078889 + .126928)/2, (1.701413 + .474077)/2
  "ragan": ((0.643669, 2.352909, 0.587745), (0.893669, 0.102909, 1.087745)),
  # [(a-1)^2 + (b+1)^2]/2: (0 + 2.25)/2, (9 + 12.25)/2, (2.25 + .25)/2
  # [(b-1)^2 + (a+1)^2]/2: (.25 + 4)/2, (2.25 + 1)/2, (6.25 + .25)/2
  "ralsgan": ((1.125, 10.625, 1.25), (2.125, 1.625, 3.25)),
  # [relu(1-a) + relu(1+b)]/2: (0 + 1.5)/2, (3 + 3.5)/2, (1.5 + 0)/2
  # [relu(1-b) + relu(1+a)]/2: (.5 + 2)/2, (0 + 0)/2, (2.5 + .5)/2
  "rahinge": ((0.75, 3.25, 0.75), (1.25, 0.0, 1.5)),
  # -r + exp(f - 1): -2 + 1, 1 + 7.389056, -.5 + .135335;  -exp(f - 1)
  "fgan_kl": ((-1.0, 8.389056, -0.364665), (-1.0, -7.389056, -0.135335)),
  # exp(-r) + f - 1: .135335 + 0, 2.718282 + 2, .606531 - 2;  1 - f
  "fgan_reverse_kl": ((0.135335, 4.718282, -1.393469), (0.0, -2.0, 2.0)),
  # -r + f^2/4 + f: -2 + 1.25, 1 + 5.25, -.5 - .75
  "fgan_pearson": ((-0.75, 6.25, -1.25), (-1.25, -5.25, 0.75)),
  # -1 + exp(-r) + 2 - 2 exp(-f/2), where 2 exp(-f/2) = 1.213061, .446260, 3.297443
  "fgan_neyman": ((-0.077726, 3.272022, -1.690912), (-0.786939, -1.553740, 1.297443)),
  # -1 + exp(-r) + exp(f) - 1: .135335 + 2.718282 - 2, 2.718282 + 20.085537 - 2, ...;  1 - exp(f)
  "fgan_hellinger": ((0.853617, 20.803819, -1.025590), (-1.718282, -19.085537, 0.632121)),
  # W(e^(1-f)) = .567143 (the omega constant), .120028, 1.557146; W + 1/W + f - 2 =
  # .567143 + 1.763223 - 1, .120028 + 8.331373 + 1, 1.557146 + .642201 - 3
  "fgan_jeffrey": ((-0.669634, 10.451401, -1.300654), (-1.330366, -9.451401, 0.800654)),
  # cross-entropy - 2 log 2;  log 2 - sp(f)
  "fgan_js": ((0.053895, 2.975555, -0.598956), (-0.620115, -2.355440, 0.379885)),
  "fgan_gan": (_BCE, (-1.313262, -3.048587, -0.313262)),
  # tanh(r)/2 = .482014, -.380797, .231059;  tanh(f)/2 = .380797, .497527, -.380797
  "fgan_tv": ((-0.101217, 0.878324, -0.611856), (-0.380797, -0.497527, 0.380797)),
  # f(r - f) and f(f - r); relu(1 - 1), relu(1 + 4), relu(1 - 1.5);  relu(1 + 1), ...
  "rp_hinge": ((0.0, 5.0, 0.0), (2.0, 0.0, 2.5)),
  # 0/2, 25/2, .25/2;  4/2, 9/2, 6.25/2
  "rp_lsgan": ((0.0, 12.5, 0.125), (2.0, 4.5, 3.125)),
  # exp(-1), exp(4), exp(-1.5);  exp(1), exp(-4), exp(1.5)
  "rp_exponential": ((0.367879, 54.598150, 0.223130), (2.718282, 0.018316, 4.481689)),
  # tanh(1)/2 = .380797, tanh(4)/2 = .499665, tanh(1.5)/2 = .452574
  "rp_fgan_tv": ((-0.380797, 0.499665, -0.452574), (0.380797, -0.499665, 0.452574)),
  # exp(f) = 2.718282, 20.085537, .367879, mean 7.723899: w = .351931, 2.600440, .047629, and
  # w f = .351931, 7.801319, -.047629: 0 + 1.351931, 2 + 8.801319, .5 + .952371;  -w f
  "klwgan": ((1.351931, 10.801319, 1.452371), (-0.351931, -7.801319, 0.047629)),
  # hinge;  (2 - 1)^2, (-1 - 1)^2, (.5 - 1)^2
  "mcgan": ((2.0, 6.0, 0.5), (1.0, 4.0, 0.25)),
}

OPTION_VALUES = {
  # .9 sp(-r) + .1 sp(r) + sp(f), where sp(r) = 2.126928, .313262, .974077
  ("sat", "real_label", 0.9): ((1.640190, 4.261849, 0.837339), (-1.313262, -3.048587, -0.313262)),
  ("nonsat", "real_label", 0.9): ((1.640190, 4.261849, 0.837339), (0.313262, 0.048587, 1.313262)),
  ("ml", "real_label", 0.9): ((1.640190, 4.261849, 0.837339), (-2.718282, -20.085537, -0.367879)),
  # (r-1)^2/2 + (f+1)^2/2: (1 + 4)/2, (4 + 16)/2, (.25 + 0)/2;  f^2/2
  ("lsgan", "lsgan_targets", (-1.0, 1.0, 0.0)): ((2.5, 10.0, 0.125), (0.5, 4.5, 0.5)),
  # generator -g_f(f); the discriminator is unchanged
  ("fgan_kl", "fgan_generator", "nonsat"): (None, (-1.0, -3.0, 1.0)),
  ("fgan_reverse_kl", "fgan_generator", "nonsat"): (None, (0.367879, 0.049787, 2.718282)),
  ("fgan_pearson", "fgan_generator", "nonsat"): (None, (-1.0, -3.0, 1.0)),
  ("fgan_neyman", "fgan_generator", "nonsat"): (None, (-0.632121, -0.950213, 1.718282)),
  ("fgan_hellinger", "fgan_generator", "nonsat"): (None, (-0.632121, -0.950213, 1.718282)),
  ("fgan_jeffrey", "fgan_generator", "nonsat"): (None, (-1.0, -3.0, 1.0)),
  ("fgan_js", "fgan_generator", "nonsat"): (None, (-0.379885, -0.644560, 0.620115)),
  ("fgan_gan", "fgan_generator", "nonsat"): (None, (0.313262, 0.048587, 1.313262)),
  ("fgan_tv", "fgan_generator", "nonsat"): (None, (-0.380797, -0.497527, 0.380797)),
}

# What D answers where it cannot tell, REAL and FAKE above: (for real, for fake).
_ZERO = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
_PAIRED = (FAKE, REAL)
_AVERAGE = ((1.0, 1.0, 1.0), (0.5, 0.5, 0.5))  # the mean of the other side
THRESHOLDS = {
  **dict.fromkeys(("sat", "nonsat", "ml", "hinge", "klwgan", "mcgan"), _ZERO),
  **dict.fromkeys(("wgan", *PAIRED), _PAIRED),
  **dict.fromkeys(AVERAGES, _AVERAGE),
  **dict.fromkeys(FGANS, _ZERO),
  "lsgan": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),  # (0 + 1)/2
  "fgan_kl": ((1.0, 1.0, 1.0), (1.0, 1.0, 1.0)),  # f'(u) = 1 + log u at u = 1
}


def logits(*values, dtype=jnp.float32):
  return jnp.asarray(values, dtype)


def test_every_loss_has_hand_values_and_thresholds():
  assert set(HAND_VALUES) == set(THRESHOLDS) == set(EVERY)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_values_are_those_worked_by_hand(name, player):
  expected = HAND_VALUES[name][("discriminator", "generator").index(player)]
  actual = getattr(LOSSES[name], player)(logits(*REAL), logits(*FAKE))
  np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=2e-6)


@pytest.mark.parametrize("case", OPTION_VALUES, ids=str)
def test_values_with_options_are_those_worked_by_hand(case):
  name, option, value = case
  loss = make_loss(name, **{option: value})
  discriminator, generator = OPTION_VALUES[case]
  if discriminator is None:
    discriminator = HAND_VALUES[name][0]
  np.testing.assert_allclose(
    loss.discriminator(logits(*REAL), logits(*FAKE)), discriminator, atol=2e-6
  )
  np.testing.assert_allclose(
    loss.generator(logits(*REAL), logits(*FAKE)), generator, rtol=1e-6, atol=2e-6
  )


def test_every_option_other_than_the_axis_has_hand_values():
  taken = {
    (name, option) for name in EVERY for option in LOSSES[name].options if option != "axis_name"
  }
  assert taken == {case[:2] for case in OPTION_VALUES}


@pytest.mark.parametrize("name", EVERY)
def test_threshold_is_where_the_discriminator_cannot_tell(name):
  for_real, for_fake = LOSSES[name].threshold(logits(*REAL), logits(*FAKE))
  np.testing.assert_allclose(for_real, THRESHOLDS[name][0], atol=1e-7)
  np.testing.assert_allclose(for_fake, THRESHOLDS[name][1], atol=1e-7)


def test_threshold_follows_the_options():
  smoothed = make_loss("nonsat", real_label=0.9).threshold(logits(0.0), logits(0.0))
  np.testing.assert_allclose(smoothed, np.full((2, 1), -0.2006707), atol=1e-6)  # log(.9/1.1)
  pearson = make_loss("lsgan", lsgan_targets=(-1.0, 1.0, 0.0)).threshold(logits(9.0), logits(9.0))
  np.testing.assert_allclose(pearson, np.zeros((2, 1)))


# --- identities ------------------------------------------------------------------------------


def test_saturating_generator_is_minus_the_fake_term_of_the_discriminator():
  loss = make_loss("sat", real_label=0.9)
  fake = jnp.linspace(-20.0, 20.0, 81)
  # A fake logit of -1e4 costs the discriminator nothing, which leaves the data term.
  real_term = loss.discriminator(jnp.zeros(81), jnp.full(81, -1e4))
  fake_term = loss.discriminator(jnp.zeros(81), fake) - real_term
  np.testing.assert_allclose(loss.generator(fake, fake), -fake_term, atol=2e-6)


def test_nonsaturating_over_saturating_slope_is_the_odds_against():
  with jax.enable_x64(True):
    fake = jnp.linspace(-8.0, 8.0, 33, dtype=jnp.float64)
    slope = {
      name: jax.vmap(jax.grad(functools.partial(LOSSES[name].generator, fake[0])))(fake)
      for name in ("sat", "nonsat")
    }
    judged_real = 1 / (1 + np.exp(-np.asarray(fake)))
    odds = (1 - judged_real) / judged_real
    np.testing.assert_allclose(slope["nonsat"] / slope["sat"], odds, rtol=1e-10)


def test_fgan_gan_and_fgan_js_are_cross_entropy_up_to_a_constant():
  real, fake = logits(*REAL), logits(*FAKE)
  cross_entropy = LOSSES["sat"].discriminator(real, fake)
  np.testing.assert_allclose(LOSSES["fgan_gan"].discriminator(real, fake), cross_entropy)
  shifted = LOSSES["fgan_js"].discriminator(real, fake) + np.log(4.0)
  np.testing.assert_allclose(shifted, cross_entropy, rtol=1e-6)


@pytest.mark.parametrize("name", [*PAIRED, *AVERAGES])
@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_relativistic_losses_ignore_a_constant_added_to_all_logits(name, player):
  function = getattr(LOSSES[name], player)
  shifted = function(logits(*REAL) + 7.0, logits(*FAKE) + 7.0)
  np.testing.assert_allclose(shifted, function(logits(*REAL), logits(*FAKE)), atol=1e-5)


@pytest.mark.parametrize("name", [*PAIRED, *AVERAGES])
def test_relativistic_players_exchange_roles(name):
  real, fake = logits(*REAL), logits(*FAKE)
  np.testing.assert_array_equal(
    LOSSES[name].generator(real, fake), LOSSES[name].discriminator(fake, real)
  )


def test_paired_loss_meets_one_partner_not_all():
  # Two modes 0 and 1; the generator covers mode 0 only once, so D tells one pair of two apart:
  # D(x0) = D(y0) = 0, D(x1) = 40, D(y1) = -40. Sun, Fang, Schwing 2020: -(log 2)/2 = -.3466, where
  # averaging over all four pairs would give -(log 2)/4 = -.1733.
  real, fake = logits(0.0, 40.0), logits(0.0, -40.0)
  paired = LOSSES["rsgan"].discriminator(real, fake)
  assert paired.shape == (2,)
  np.testing.assert_allclose(-jnp.mean(paired), -0.3465736, atol=1e-6)
  all_pairs = LOSSES["rsgan"].discriminator(jnp.repeat(real, 2), jnp.tile(fake, 2))
  np.testing.assert_allclose(-jnp.mean(all_pairs), -0.1732868, atol=1e-6)


# Goodfellow 2016, figure 16, with the tutorial's factor 1/2: cost and slope against the logit.
FIGURE_16 = {
  # name: (J, dJ/da) at D = .01, .5, .99 as printed, and both as formulas of D
  "sat": (
    ((-0.0050, -0.005), (-0.3466, -0.25), (-2.3026, -0.495)),
    lambda d: (np.log(1 - d) / 2, -d / 2),
  ),
  "nonsat": (
    ((2.3026, -0.495), (0.3466, -0.25), (0.0050, -0.005)),
    lambda d: (-np.log(d) / 2, -(1 - d) / 2),
  ),
  "ml": (
    ((-0.0051, -0.0051), (-0.5, -0.5), (-49.5, -49.5)),
    lambda d: (-d / (2 * (1 - d)), -d / (2 * (1 - d))),
  ),
}


@pytest.mark.parametrize("name", FIGURE_16)
def test_generator_costs_draw_figure_16(name):
  printed, formula = FIGURE_16[name]
  with jax.enable_x64(True):
    judged_real = np.array([0.01, 0.5, 0.99])
    fake = jnp.asarray(np.log(judged_real / (1 - judged_real)))

    def cost(f):
      return LOSSES[name].generator(f, f) / 2

    values = np.stack([cost(fake), jax.vmap(jax.grad(cost))(fake)], axis=1)
  np.testing.assert_allclose(values, printed, atol=5.1e-5)
  np.testing.assert_allclose(values, np.stack(formula(judged_real), axis=1), rtol=1e-6)


# --- f-GAN: each conjugate against its definition ----------------------------------------------

F = {
  "kl": lambda u: u * np.log(u),
  "reverse_kl": lambda u: -np.log(u),
  "pearson": lambda u: (u - 1) ** 2,
  "neyman": lambda u: (1 - u) ** 2 / u,
  "hellinger": lambda u: (np.sqrt(u) - 1) ** 2,
  "jeffrey": lambda u: (u - 1) * np.log(u),
  "js": lambda u: u * np.log(u) - (u + 1) * np.log((u + 1) / 2),
  "gan": lambda u: u * np.log(u) - (u + 1) * np.log(u + 1),
  "tv": lambda u: np.abs(u - 1) / 2,
}


@pytest.mark.parametrize("name", DIVERGENCES)
def test_conjugate_is_the_supremum_over_density_ratios(name):
  divergence, f = DIVERGENCES[name], F[name]
  with jax.enable_x64(True):
    # Below v = -2 Pearson's supremum is at u = 0; the paper's f* is that of f on the whole line.
    v = jnp.linspace(-1.9 if name == "pearson" else -4.0, 4.0, 17, dtype=jnp.float64)
    activation, conjugate = divergence.activation(v), divergence.conjugate(v)
  for t, value in zip(np.asarray(activation), np.asarray(conjugate), strict=True):

    def gap(y, t=t):
      return f(np.exp(y)) - t * np.exp(y)

    best = minimize_scalar(gap, bounds=(-12, 12), method="bounded", options={"xatol": 1e-10})
    np.testing.assert_allclose(value, -best.fun, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("name", DIVERGENCES)
def test_threshold_of_an_fgan_is_the_slope_of_f_at_one(name):
  divergence, step = DIVERGENCES[name], 1e-5
  slope = (F[name](1 + step) - F[name](1 - step)) / (2 * step)  # 0 for |u - 1|, by symmetry
  with jax.enable_x64(True):
    at_threshold = divergence.activation(jnp.asarray(divergence.threshold, jnp.float64))
  np.testing.assert_allclose(at_threshold, slope, atol=1e-8)


def test_jeffrey_log_ratio_solves_its_equation_and_differentiates_twice():
  with jax.enable_x64(True):
    v = jnp.concatenate([jnp.linspace(-1e4, 1e4, 2001), jnp.linspace(-40, 40, 801)])
    y = np.asarray(jeffrey_log_ratio(v))
    np.testing.assert_allclose(y + 1 - np.exp(-y), v, rtol=1e-13, atol=1e-13)
    # d f*(v)/dv = u and d^2 f*/dv^2 = du/dv = u / (1 + 1/u), for v = f'(u).
    v = jnp.linspace(-20.0, 20.0, 41)
    u = np.exp(np.asarray(jeffrey_log_ratio(v)))
    conjugate = DIVERGENCES["jeffrey"].conjugate
    first, second = (jax.jit(jax.vmap(g)) for g in (jax.grad(conjugate), jax.hessian(conjugate)))
    np.testing.assert_allclose(first(v), u, rtol=1e-12)
    np.testing.assert_allclose(second(v), u / (1 + 1 / u), rtol=1e-12)


# --- bounded exponentials ---------------------------------------------------------------------


def test_bounded_exp_is_exact_up_to_the_cap_and_its_tangent_beyond():
  inside = jnp.linspace(-80.0, EXP_CAP, 441)
  np.testing.assert_array_equal(bounded_exp(inside), jnp.exp(inside))
  beyond = np.array([EXP_CAP, EXP_CAP + 1, EXP_CAP + 9], np.float32)
  tangent = np.exp(np.float32(EXP_CAP)) * np.array([1.0, 2.0, 10.0], np.float32)
  np.testing.assert_allclose(bounded_exp(jnp.asarray(beyond)), tangent, rtol=1e-6)
  slope = jax.vmap(jax.grad(bounded_exp))(jnp.asarray(beyond))
  np.testing.assert_allclose(slope, np.full(3, tangent[0]), rtol=1e-6)


# name: (activation, conjugate) without any bound, and the logits over which they must agree.
UNBOUNDED = {
  "kl": (lambda v: v, lambda v: np.exp(v - 1), (-31.0, 31.0)),
  "reverse_kl": (lambda v: -np.exp(-v), lambda v: v - 1, (-30.0, 200.0)),
  "neyman": (lambda v: 1 - np.exp(-v), lambda v: 2 - 2 * np.exp(-v / 2), (-30.0, 200.0)),
  "hellinger": (lambda v: 1 - np.exp(-v), lambda v: np.exp(v) - 1, (-30.0, 30.0)),
}


@pytest.mark.parametrize("name", UNBOUNDED)
def test_fgan_terms_are_exact_inside_the_stated_range(name):
  activation, conjugate, (low, high) = UNBOUNDED[name]
  with jax.enable_x64(True):
    v = np.linspace(low, high, 101)
    np.testing.assert_allclose(DIVERGENCES[name].activation(jnp.asarray(v)), activation(v), 1e-14)
    np.testing.assert_allclose(
      DIVERGENCES[name].conjugate(jnp.asarray(v)), conjugate(v), rtol=1e-14
    )


@pytest.mark.parametrize("name", ["kl", "reverse_kl", "neyman", "jeffrey"])
def test_beyond_the_range_the_density_ratio_is_held(name):
  # slope of f* over slope of T is the ratio u; held at the value it had at the bend.
  divergence = DIVERGENCES[name]
  bend, held = {
    "kl": (31.0, 30.0),
    "reverse_kl": (-30.0, -30.0),
    "neyman": (-30.0, -15.0),
    "jeffrey": (31.0, 30.0),
  }[name]
  with jax.enable_x64(True):
    v = jnp.asarray([bend, 2 * bend, 100 * bend])
    slope = [jax.vmap(jax.grad(g))(v) for g in (divergence.conjugate, divergence.activation)]
    np.testing.assert_allclose(slope[0] / slope[1], np.exp(np.full(3, held)), rtol=1e-10)


# --- extremes, shapes, order ------------------------------------------------------------------

EXTREMES = {
  jnp.float32: (-1e4, -300.0, -89.0, -31.0, -30.0, -2.0, 0.0, 1.0, 30.0, 31.0, 89.0, 300.0, 1e4),
  jnp.bfloat16: (-1e3, -89.0, -31.0, -2.0, 0.0, 1.0, 31.0, 89.0, 1e3),
}


@pytest.mark.parametrize("dtype", EXTREMES, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize(
  ("variant", "player"),
  [(variant, "generator") for variant in VARIANTS]
  # No f-GAN's discriminator knows which generator it plays.
  + [(variant, "discriminator") for variant in VARIANTS if not variant.endswith(" nonsat")],
)
def test_value_and_derivatives_are_finite_at_extreme_logits(variant, player, dtype):
  grid = np.asarray(EXTREMES[dtype])
  pair = tuple(jnp.asarray(part.ravel(), dtype) for part in np.meshgrid(grid, grid))
  function = getattr(VARIANTS[variant], player)
  gradient = jax.grad(lambda r, f: jnp.sum(function(r, f).astype(jnp.float32)), argnums=(0, 1))
  # The consensus rule differentiates a gradient, so the second derivative counts too.
  ones = tuple(jnp.ones_like(part) for part in pair)
  first, second = jax.jvp(gradient, pair, ones)
  for name, result in {"value": function(*pair), "first": first, "second": second}.items():
    for leaf in jax.tree.leaves(result):
      assert leaf.dtype == dtype
      assert np.all(np.isfinite(np.asarray(leaf, np.float32))), name


@pytest.mark.parametrize("shape", [(5,), (2, 5)], ids=str)
@pytest.mark.parametrize("name", EVERY)
def test_one_loss_per_example_in_the_shape_of_the_logits(name, shape):
  real, fake = (jax.random.normal(jax.random.key(seed), shape) for seed in (0, 1))
  for player in ("discriminator", "generator"):
    function = getattr(LOSSES[name], player)
    assert function(real, fake).shape == shape
    flat = function(real.ravel(), fake.ravel())
    np.testing.assert_allclose(function(real, fake).ravel(), flat, rtol=1e-5, atol=1e-6)
  assert [part.shape for part in LOSSES[name].threshold(real, fake)] == [shape, shape]


@pytest.mark.parametrize("player", ["discriminator", "generator"])
@pytest.mark.parametrize("name", EVERY)
def test_permuting_the_batch_permutes_the_losses(name, player):
  function = getattr(LOSSES[name], player)
  real, fake = (jax.random.normal(jax.random.key(seed), (7,)) for seed in (0, 1))
  order = np.array([3, 0, 6, 1, 5, 2, 4])
  np.testing.assert_allclose(
    function(real[order], fake[order]), function(real, fake)[order], rtol=1e-5, atol=1e-6
  )


@pytest.mark.parametrize("player", ["discriminator", "generator"])
@pytest.mark.parametrize("name", [name for name in EVERY if name not in PAIRED])
def test_average_does_not_depend_on_who_meets_whom(name, player):
  function = getattr(LOSSES[name], player)
  real, fake = (jax.random.normal(jax.random.key(seed), (7,)) for seed in (0, 1))
  exchanged = function(real, fake[::-1])
  np.testing.assert_allclose(jnp.mean(exchanged), jnp.mean(function(real, fake)), rtol=1e-5)


# Squares rise again beyond their targets; elsewhere a discriminator only gains from more distance.
MONOTONE_RANGE = {
  **dict.fromkeys(("lsgan", "ralsgan", "rp_lsgan"), (0.0, 1.0)),
  "fgan_pearson": (-2.0, 8.0),
}


@pytest.mark.parametrize("name", EVERY)
def test_discriminator_loss_falls_as_real_rises_and_as_fake_falls(name):
  low, high = MONOTONE_RANGE.get(name, (-8.0, 8.0))
  real, fake = jax.random.uniform(jax.random.key(0), (2, 64), minval=low, maxval=high)

  def mean_loss(r, f):
    return jnp.mean(LOSSES[name].discriminator(r, f))

  real_slope, fake_slope = jax.grad(mean_loss, argnums=(0, 1))(real, fake)
  assert np.all(real_slope <= 1e-7) and np.all(fake_slope >= -1e-7)
  assert np.any(real_slope < -1e-4) and np.any(fake_slope > 1e-4)


@pytest.mark.parametrize("variant", VARIANTS)
def test_generator_loss_falls_as_fake_rises(variant):
  low, high = MONOTONE_RANGE.get(variant.split()[0], (-8.0, 8.0))
  low = 0.0 if variant == "lsgan Pearson" else low
  real, fake = jax.random.uniform(jax.random.key(0), (2, 64), minval=low, maxval=high)
  if variant == "mcgan":  # G is drawn to the mean of the data, here above all samples
    real = real + 16.0

  def mean_loss(f):
    return jnp.mean(VARIANTS[variant].generator(real, f))

  slope = jax.grad(mean_loss)(fake)
  if variant == "lsgan Pearson":  # G is drawn to 0, the middle, from both sides
    slope = -slope
  assert np.all(slope <= 1e-7) and np.any(slope < -1e-4)


# --- pairs, weights, regression ----------------------------------------------------------------


@pytest.mark.parametrize("name", DIVERGENCES)
def test_an_fgan_s_term_of_data_is_one_of_the_pairs_functions(name):
  same = {
    **dict.fromkeys(("kl", "pearson", "jeffrey"), lambda v: -v),
    **dict.fromkeys(("reverse_kl", "neyman", "hellinger"), lambda v: jnp.exp(-v)),
    **dict.fromkeys(("js", "gan"), lambda v: jax.nn.softplus(-v)),
    "tv": lambda v: LOSSES["rp_fgan_tv"].discriminator(v, jnp.zeros_like(v)),
  }[name]
  margin = jnp.linspace(-3.0, 3.0, 13)
  difference = -DIVERGENCES[name].activation(margin) - same(margin)
  np.testing.assert_allclose(difference, jnp.full(13, difference[0]), atol=2e-6)


def test_a_relativistic_loss_of_one_s_own_is_f_of_the_margin():
  loss = relativistic_loss(lambda margin: jax.nn.softplus(-margin))
  for player in ("discriminator", "generator", "threshold"):
    expected = getattr(LOSSES["rsgan"], player)(logits(*REAL), logits(*FAKE))
    found = getattr(loss, player)(logits(*REAL), logits(*FAKE))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_klwgan_generator_follows_the_logarithm_of_the_mean_exponential():
  fake = logits(*FAKE, -2.0)

  def value(f):
    return -jnp.log(jnp.mean(jnp.exp(f)))

  found = jax.grad(lambda f: jnp.mean(LOSSES["klwgan"].generator(f, f)))(fake)
  np.testing.assert_allclose(found, jax.grad(value)(fake), rtol=1e-5)
  ratios = density_ratios(fake)
  np.testing.assert_allclose(jnp.mean(ratios), 1.0, rtol=1e-6)
  np.testing.assert_allclose(ratios, density_ratios(fake + 300.0), rtol=1e-4)


@pytest.mark.parametrize("shift", [0.0, 7.0])
def test_mcgan_generator_moves_the_mean_of_its_samples_to_that_of_the_data(shift):
  # d/df_k of mean_i (r_i - mean f)^2 is -2 (mean r - mean f)/3: means are .5 and 1.
  slope = jax.grad(lambda f: jnp.mean(LOSSES["mcgan"].generator(logits(*REAL) + shift, f)))(
    logits(*FAKE)
  )
  np.testing.assert_allclose(slope, np.full(3, (1.0 - 2.0 * shift) / 3), rtol=1e-6)


@pytest.mark.parametrize(
  ("name", "player"),
  [
    *itertools.product(("rp_exponential", "klwgan"), ("discriminator", "generator")),
    ("rp_fgan_tv", "discriminator"),
    ("mcgan", "generator"),
  ],
)
def test_gradients_are_those_of_finite_differences(name, player):
  with jax.enable_x64(True):
    real, fake = logits(*REAL, dtype=jnp.float64), logits(*FAKE, dtype=jnp.float64)
    held = density_ratios(fake) if name == "klwgan" else None

    def mean_loss(f):
      if held is None:
        return jnp.mean(getattr(LOSSES[name], player)(real, f))
      # The same with the weights held at those of FAKE.
      weighted = held * f
      return jnp.mean(jax.nn.relu(1 + weighted) if player == "discriminator" else -weighted)

    found = jax.grad(lambda f: jnp.mean(getattr(LOSSES[name], player)(real, f)))(fake)
    moves = 1e-6 * jnp.eye(3)
    slopes = [(mean_loss(fake + move) - mean_loss(fake - move)) / 2e-6 for move in moves]
  np.testing.assert_allclose(found, slopes, rtol=1e-6, atol=1e-9)


# --- options ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sat", "nonsat", "ml"])
def test_real_label_may_be_traced(name):
  loss, (real, fake) = LOSSES[name], (logits(*REAL), logits(*FAKE))

  def mean(label):
    return jnp.mean(loss.discriminator(real, fake, real_label=label))

  labels = jnp.asarray([1.0, 0.9, 0.7])
  expected = [mean(float(label)) for label in labels]
  np.testing.assert_allclose(jax.jit(jax.vmap(mean))(labels), expected, rtol=1e-6)
  # d/dalpha of alpha sp(-r) + (1 - alpha) sp(r) is sp(-r) - sp(r) = -r; the mean of REAL is 0.5.
  np.testing.assert_allclose(jax.grad(mean)(jnp.asarray(0.9)), -0.5, rtol=1e-6)
  half = loss.discriminator(
    real.astype(jnp.bfloat16), fake.astype(jnp.bfloat16), real_label=labels[1]
  )
  assert half.dtype == jnp.bfloat16


def test_discriminator_loss_of_generated_samples_does_not_depend_on_real_label():
  real, fake = logits(*REAL), logits(*FAKE)
  difference = [
    make_loss("nonsat", real_label=label).discriminator(real, fake)
    - make_loss("nonsat", real_label=label).discriminator(real, fake - 1.0)
    for label in (1.0, 0.7)
  ]
  np.testing.assert_allclose(*difference, atol=1e-6)


@pytest.mark.parametrize("name", [*AVERAGES, "klwgan", "mcgan"])
@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_averages_over_shards_equal_the_single_batch(name, player):
  real, fake = (jax.random.normal(jax.random.key(seed), (8,)) for seed in (0, 1))
  whole, sharded = LOSSES[name], make_loss(name, axis_name="batch")
  shards = (real.reshape(2, 4), fake.reshape(2, 4))
  across = functools.partial(jax.vmap, axis_name="batch")

  losses = across(getattr(sharded, player))(*shards)
  np.testing.assert_allclose(losses.ravel(), getattr(whole, player)(real, fake), rtol=1e-5)
  thresholds = across(sharded.threshold)(*shards)
  for part, expected in zip(thresholds, whole.threshold(real, fake), strict=True):
    np.testing.assert_allclose(part.ravel(), expected, rtol=1e-5, atol=1e-7)

  # A shard's gradient counts its logits in the other shard's mean too; averaging over the two
  # shards, as data-parallel training does, leaves the gradient of the single batch.
  def mean_loss(loss):
    return lambda r, f: jnp.mean(getattr(loss, player)(r, f))

  single = jax.grad(mean_loss(whole), argnums=(0, 1))(real, fake)
  split = across(jax.grad(mean_loss(sharded), argnums=(0, 1)))(*shards)
  for part, expected in zip(split, single, strict=True):
    np.testing.assert_allclose(part.ravel() / 2, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", EVERY)
def test_both_players_and_the_threshold_take_the_listed_options(name):
  for function in LOSSES[name][:3]:
    parameters = inspect.signature(function).parameters.values()
    keywords = {p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}
    anything = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
    assert keywords == set(LOSSES[name].options) or anything
    positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert positional == ["real_logits", "fake_logits"]


@pytest.mark.parametrize("name", EVERY)
def test_make_loss_takes_all_options_and_binds_its_own(name):
  everything = {
    "real_label": 0.9,
    "lsgan_targets": (-1.0, 1.0, 0.0),
    "fgan_generator": "nonsat",
    "axis_name": (),
  }
  own = {option: everything[option] for option in LOSSES[name].options}
  bound, (real, fake) = make_loss(name, **everything), (logits(*REAL), logits(*FAKE))
  for player in ("discriminator", "generator", "threshold"):
    expected = getattr(LOSSES[name], player)(real, fake, **own)
    np.testing.assert_array_equal(getattr(bound, player)(real, fake), expected)


@pytest.mark.parametrize("name", EVERY)
def test_every_loss_says_what_it_is(name):
  about = LOSSES[name].about
  assert all(isinstance(line, str) and line.isascii() and line for line in about[:-1])
  assert isinstance(about.experimental, bool)
  assert "arXiv:" in about.source


def test_an_unknown_loss_is_refused_with_the_sorted_names():
  with pytest.raises(UserError, match="'gans' is unknown") as error:
    make_loss("gans")
  assert ", ".join(sorted(LOSSES)) in str(error.value)


@pytest.mark.parametrize(
  "options",
  [{"real_label": value} for value in (np.nan, np.inf, 0.0, 2.0, "x", None)]
  + [{"lsgan_targets": value} for value in ((0, 1), (0, 1, np.nan), None, "abc", 1.0)],
  ids=str,
)
def test_a_number_that_cannot_be_is_refused(options):
  ((name, value),) = options.items()
  with pytest.raises(UserError) as error:
    make_loss("nonsat", **options)
  assert f"`{name}={value!r}` must be " in str(error.value)


def test_an_unknown_option_is_refused():
  with pytest.raises(TypeError, match="real_lable"):
    make_loss("nonsat", real_lable=0.9)


def test_an_unknown_fgan_generator_is_refused():
  assert FGAN_GENERATORS == ("bound", "nonsat")
  with pytest.raises(UserError, match="bound, nonsat"):
    make_loss("fgan_kl", fgan_generator="minimax").generator(logits(*REAL), logits(*FAKE))


# Of the total variation both generators are one.
@pytest.mark.parametrize("name", sorted(VARIANTS.keys() - {"fgan_tv nonsat"}))
def test_zero_sum_games_are_those_whose_losses_sum_to_a_function_of_the_data(name):
  loss, real = VARIANTS[name], jnp.array(REAL)

  def total(fake):
    return jnp.sum(loss.discriminator(real, fake) + loss.generator(real, fake))

  slopes = [jax.grad(total)(jnp.array(FAKE) - shift) for shift in (0.0, 4.0)]
  level = bool(jnp.all(jnp.abs(jnp.array(slopes)) < 1e-6))
  assert loss.zero_sum == level
