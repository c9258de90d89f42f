"""The formulas of the pages are those of the functions: what is shown is evaluated beside them."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, lambertw, xlogy

from experiments.catalogue import figures, words
from experiments.catalogue.formula import NotAFormula, parse, tex
from gan.losses import LOSSES, make_loss, of_logits
from gan.penalties import PENALTIES

REAL = np.array([-2.5, -0.7, 0.0, 0.4, 1.3, 2.9])
FAKE = np.array([1.1, -1.9, 0.6, -0.2, 2.2, -2.8])
KNOWN = {
  "softplus": lambda x: np.logaddexp(x, 0),
  "relu": lambda x: np.maximum(x, 0),
  "max": lambda *each: each[0] if len(each) == 1 else np.maximum(*each),
  "exp": np.exp,
  "log": np.log,
  "tanh": np.tanh,
  "sqrt": np.sqrt,
  "mean": np.mean,
  "s": expit,
  "LambertW": lambda x: lambertw(x).real,
}
OPTIONS = {"a": 0.0, "b": 1.0, "c": 1.0}  # of lsgan, by default


def value(node, names):
  """The value of a tree, where `names` has those of its names and functions."""
  kind, text, parts = node
  if kind == "call":
    return names[text](*(value(part, names) for part in parts))
  inside = [value(part, names) for part in parts]
  return {
    "number": lambda: float(text),
    "name": lambda: names[text](names) if callable(names[text]) else names[text],
    "group": lambda: inside[0],
    "norm": lambda: np.abs(inside[0]),
    "power": lambda: inside[0] ** inside[-1],
    "quotient": lambda: inside[0] / inside[-1],
    "product": lambda: np.prod(np.broadcast_arrays(*inside), axis=0),
    "sum": lambda: sum(inside),
    "minus": lambda: -inside[0],
  }[kind]()


def definitions(text):
  """What the clauses of a line define: T(v) = ... as a function, w = ... as a name."""
  found = {}
  for _, clause in words._clauses(text):
    try:
      tree = parse(clause)
    except NotAFormula:
      continue
    if tree.kind == "equals":
      left, right = tree.parts
      found[left.text] = (left, right)
  return found


def evaluated(text, names):
  """The first formula of a line, with what its other clauses define."""

  def define(left, right):
    if left.kind == "name":
      return lambda names: value(right, names)
    return lambda given: value(right, scope | {left.parts[0].text: given})

  scope = KNOWN | names
  scope |= {name: define(*each) for name, each in definitions(text).items()}
  (_, first), *_ = words._clauses(text)
  return value(parse(first), scope)


@pytest.mark.parametrize("player", ["discriminator", "generator"])
@pytest.mark.parametrize("name", of_logits())
def test_the_formula_of_a_loss_is_its_function(name, player):
  about, loss = LOSSES[name].about, make_loss(name)
  shown = evaluated(
    f"{getattr(about, player)}; {about.discriminator}", OPTIONS | {"r": REAL, "f": FAKE}
  )
  computed = getattr(loss, player)(jnp.asarray(REAL), jnp.asarray(FAKE))
  np.testing.assert_allclose(np.broadcast_to(shown, REAL.shape), computed, rtol=2e-5, atol=2e-6)


def test_the_smoothed_formula_is_the_function():
  (_, _), (_, smoothed) = words._clauses(LOSSES["nonsat"].about.discriminator)
  names = KNOWN | {"r": REAL, "f": FAKE, "a": 0.9}
  shown = value(parse(smoothed.removeprefix("smoothed: ")), names)
  loss = make_loss("nonsat", real_label=0.9)
  np.testing.assert_allclose(
    shown, loss.discriminator(jnp.asarray(REAL), jnp.asarray(FAKE)), rtol=2e-5
  )


@pytest.mark.parametrize("name", [name for name in PENALTIES if name != "none"])
def test_the_formula_of_a_penalty_is_its_function(name):
  # Of a critic of one number whose slope is the same everywhere: D(v) = slope v.
  draws = np.random.default_rng(0).standard_normal(200_000)
  for slope, computed in list(zip(figures.SLOPES, figures.penalty_values(name), strict=True))[::12]:
    names = {"x": 0.0, "x^": 0.5, "z": 0.0, "a": 1.0, "n": 0.3, "s": 0.01, "e": draws}
    names |= {"D": lambda v, slope=slope: slope * v, "G": lambda z: z + 1.0}
    names["grad"] = lambda v, slope=slope: slope
    shown = np.mean(evaluated(PENALTIES[name].formula, names))
    # The mean of e^2 over as many draws as the page has is off by a deviation of sqrt(2 / 4096).
    tolerance = 0.12 if name.startswith("approx") else 1e-5
    np.testing.assert_allclose(computed, shown, rtol=tolerance, atol=1e-5)


@pytest.mark.parametrize(
  "text, written",
  [
    ("log p/q", r"\log\, \frac{p}{q}"),
    ("2 (p/q - 1)", r"2 \, \left( \frac{p}{q} - 1 \right)"),
    ("(r - b)^2/2", r"\frac{{\left( r - b \right)}^{2}}{2}"),
    ("|grad D(x^)|^2", r"{\left\lVert \nabla D\left( \hat{x} \right) \right\rVert}^{2}"),
    ("-mean exp(f)", r"-\operatorname{mean}\left( \exp\, f \right)"),
    ("W = LambertW(exp(1 - v))", r"W = W_0\left( \exp\left( 1 - v \right) \right)"),
  ],
)
def test_plain_text_becomes_tex(text, written):
  assert tex(parse(text)) == written


def test_quotients_bind_closer_than_products():
  assert value(parse("2 (3 + 1)/4"), {}) == 2.0
  assert value(parse("log p/q"), KNOWN | {"p": np.e, "q": 1.0}) == 1.0
  assert value(parse("u log u"), KNOWN | {"u": 2.0}) == pytest.approx(xlogy(2.0, 2.0))


@pytest.mark.parametrize("text", ["anything in [-1, 1]", "sets p: up", "(1 + 2", "f - r > 30", ""])
def test_words_are_no_formula(text):
  with pytest.raises(NotAFormula):
    parse(text)


def test_words_stay_words_and_formulas_become_tex():
  shown = words.shown("log p/q; smoothed: p/(p + q), as a_b says")
  assert shown == r"$\log\, \frac{p}{q}$; smoothed: $\frac{p}{p + q}$, as a\_b says"
