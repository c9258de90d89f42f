"""Programs of presets for machines that are not here, and their memory by hand."""

import re

import jax
import jax.numpy as jnp
import pytest
from conftest import ROOT

from experiments.scaling import __main__ as command
from experiments.scaling import presets
from gan.errors import UserError
from gan.training.presets import PRESETS


def test_a_row_of_a_preset_of_points():
  name, batch, precision, counts, state, values, slow = presets.row("pacgan2018")
  assert (name, batch, precision) == ("`pacgan2018`", "1 x 100", "float32")
  assert counts == "484,802, 405,201"
  # Both players with two moments of Adam, the average, and some numbers of the step.
  least = 4 * (3 * (484_802 + 405_201) + 484_802) / 2**30
  assert least <= float(state) < 1.02 * least
  assert 0 < float(values) < 1
  assert slow == "0"


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_lowered_at_full_size(name):
  *_, slow = presets.row(name)
  # The DCGANs of the notebooks have transposed convolutions that no other form makes quicker.
  assert (slow == "0") == ("dcgan" not in name)


def test_what_is_alive_at_once_by_hand():
  def chain(x):
    y = x + 1  # alive from here to its last reader
    z = y * 2
    return jnp.sum(z * y)

  jaxpr = jax.make_jaxpr(chain)(jax.ShapeDtypeStruct((100,), jnp.float32)).jaxpr
  assert presets.peak(jaxpr) == 3 * 400  # y, z and their product

  def inside(x):
    return jax.jit(chain)(x) + jnp.sum(x * 3)

  jaxpr = jax.make_jaxpr(inside)(jax.ShapeDtypeStruct((100,), jnp.float32)).jaxpr
  assert presets.peak(jaxpr) == 3 * 400


def test_the_results_of_a_loop_are_alive_beside_its_body():
  def loop(rows):
    return jax.lax.map(lambda row: jnp.sin(row) * 2, rows)

  jaxpr = jax.make_jaxpr(loop)(jax.ShapeDtypeStruct((5, 100), jnp.float32)).jaxpr
  assert presets.peak(jaxpr) == 2 * 400 + 5 * 400  # the sine, twice it, and all rows


def test_the_page_has_a_row_for_each_preset():
  page = (ROOT / "docs/models.md").read_text(encoding="utf-8")
  table = page.split("presets on accelerators: begin")[1].split("presets on accelerators: end")[0]
  assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(PRESETS)


def test_steps_that_are_not_timed_are_refused(capsys):
  assert command.main(["scaling", "--presets", "--steps=3"]) == 2
  assert "--presets measures none" in capsys.readouterr().err


def lowered(function, *shapes, platform="cuda"):
  like = tuple(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes)
  return presets.lowered(presets.Part(function, like), platform)


def test_what_has_no_place_is_found():
  def calls_back(x):
    return jax.pure_callback(lambda x: x, jax.ShapeDtypeStruct((3,), jnp.float32), x)

  program = jax.jit(calls_back).trace(jnp.ones(3)).lower(lowering_platforms=("cpu",)).as_text()
  assert "a call of" in presets.faults(program)[0]
  with jax.enable_x64(True):
    program = lowered(lambda x: x.astype(jnp.float64) + 1, (3,))
  assert presets.faults(program) == ["float64"]
  assert presets.faults('"stablehlo.send"(%0) <{is_host_transfer = true}>') == ["a transfer, send"]
  assert presets.faults(lowered(jnp.tanh, (3,))) == []


def test_dilated_left_sides_are_counted():

  def both(images, kernel):
    up = jax.lax.conv_transpose(images, kernel, (2, 2), "SAME")
    return jax.lax.conv_general_dilated(
      up, kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )

  program = lowered(both, (1, 4, 4, 2), (3, 3, 2, 2), platform="cpu")
  assert presets.dilated(program) == 1
  assert presets.faults(program) == []


def test_a_table_goes_between_its_marks(monkeypatch, tmp_path):
  monkeypatch.setattr(presets, "PRESETS", {"one": {}})
  monkeypatch.setattr(presets, "row", lambda name: [name] * 7)
  page = tmp_path / "page.md"
  page.write_text(f"before\n{presets.BEGIN}\nold\n{presets.END}\nafter\n")
  text = presets.write(page, "the command")
  assert page.read_text() == f"before\n{presets.BEGIN}\n{text}{presets.END}\nafter\n"
  assert "`the command`" in text and "| one | one |" in text and "old" not in page.read_text()
  page.write_text("no marks")
  with pytest.raises(UserError, match="has no lines"):
    presets.write(page, "the command")
