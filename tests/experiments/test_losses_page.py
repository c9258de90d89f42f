"""The registry as a command: the table holds every loss, the curves are the losses."""

import numpy as np
import pytest

from experiments import losses as page
from gan.losses import LOSSES, of_logits


def test_table_names_every_loss_with_its_source():
  text = page.table()
  for name, loss in LOSSES.items():
    assert name in text
    assert loss.about.source.split(",")[0] in " ".join(text.split())


def test_a_loss_is_listed_once_with_its_other_names():
  assert len(LOSSES) == len(set(LOSSES.values()))
  assert "sat (also minimax)" in page.table()


def test_a_loss_that_says_nothing_of_itself_is_listed_and_drawn(monkeypatch):
  monkeypatch.setattr(page.losses, "LOSSES", {"mine": LOSSES["wgan"]._replace(about=None)})
  assert page.table() == "mine"
  assert page.overview().axes[0].get_title() == "mine"


@pytest.mark.parametrize("name", of_logits())
def test_slopes_are_those_of_the_costs(name):
  # Central differences over a step h are off by h^2/6 times the third derivative, and by 2 ulp / h.
  logits = page.LOGITS
  inside = np.abs(logits) < 2.5
  for cost, slope in page.curves(name).values():
    measured = np.gradient(cost.astype(np.float64), logits.astype(np.float64))
    # Half a step on each side of a kink (hinge, ralsgan's kin) the difference sees both slopes.
    close = np.isclose(measured, slope, rtol=0.02, atol=0.02)[inside]
    assert np.mean(close) > 0.95


def test_figure_16_has_the_tutorial_s_values():
  # At D = .5 the costs are log(.5)/2 = -.3466, .3466 and -.5; at .01 log(.99)/2 = -.0050, 2.3026.
  figure = page.generator_costs()
  lines = {line.get_label(): line.get_xydata() for line in figure.axes[0].lines}
  expected = {
    "minimax (sat)": {0.5: -0.3466, 0.01: -0.0050},
    "non-saturating": {0.5: 0.3466, 0.01: 2.3026},
    "maximum likelihood": {0.5: -0.5, 0.01: -0.0051},
  }
  for label, points in expected.items():
    for probability, cost in points.items():
      np.testing.assert_allclose(np.interp(probability, *lines[label].T), cost, atol=2e-3)


def test_command_prints_the_losses_and_draws_them(tmp_path, monkeypatch, capsys):
  few = {name: LOSSES[name] for name in ("ml", "nonsat", "sat", "wgan")}
  monkeypatch.setattr(page.losses, "LOSSES", few)
  assert page.main(["losses", f"--outdir={tmp_path}"]) == 0
  assert {path.name for path in tmp_path.glob("*.png")} == {
    "losses.png",
    "generator_costs.png",
  }
  assert "softplus(-f)" in capsys.readouterr().out
