"""The roofline sheet: counts by hand and by XLA's own analysis, and predictions by hand."""

import re

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from experiments.roofline import __main__ as command
from experiments.roofline import needs, page, predictions, program
from experiments.roofline.chips import CHIPS, Chip
from experiments.roofline.predictions import Memory
from experiments.scaling import presets
from gan.training.build import DataInfo
from gan.training.config import Config


def like(*shapes, dtype=jnp.float32):
  return [jax.ShapeDtypeStruct(shape, dtype) for shape in shapes]


def lowered(function, *arguments):
  return jax.jit(function).trace(*arguments).lower(lowering_platforms=("cuda",))


def counted(function, *arguments, share=1.0):
  return program.counts(lowered(function, *arguments).compiler_ir(), share)


# A small network: points with layers 3 -> 5 -> 5 -> 2 and 2 -> 5 -> 5 -> 1, batches of 7.


@pytest.mark.parametrize(("loss", "real"), [("nonsat", 0), ("rsgan", 1)])
def test_a_step_of_a_small_network_by_hand(loss, real):
  config = Config(model="points", width=5, latent_dim=3, batch_size=7, loss=loss)
  found = needs.of_config("small", config, DataInfo((2,), 0, 100, None))
  generator, discriminator = (15, 25, 10), (10, 25, 5)
  forward = {"G": sum(generator), "D": sum(discriminator)}
  to_input = {"G": sum(generator[1:]), "D": sum(discriminator[1:])}  # up to the first layer
  # D: a batch of G, both sides through D, the gradient of each weight and what leads to it.
  of_d = forward["G"] + 2 * (2 * forward["D"] + to_input["D"])
  # G: its batch, through D and all the way back; a relativistic loss reads D on data too.
  of_g = 2 * forward["G"] + to_input["G"] + (2 + real) * forward["D"]
  assert dict(found.counts)["flops default"] == 2 * 7 * (of_d + of_g)
  assert found.counts["products"] == 3 + 2 * 8 + 3 + 5 + (2 + real) * 3
  parameters = [forward["G"] + 5 + 5 + 2, forward["D"] + 5 + 5 + 1]
  # With two moments of Adam, the average of G, and fewer than 40 numbers of the step.
  least = 4 * (3 * sum(parameters) + parameters[0])
  assert least < found.memory.state < least + 4 * 40
  assert found.memory.data == 4 * 100 * 2
  assert 0 < found.memory.least < found.memory.most


CONVOLUTIONS = {
  "padded": {"padding": "SAME"},
  "strided": {"padding": "SAME", "window_strides": (2, 3)},
  "of a transposed one": {"padding": [(2, 1), (0, 3)], "lhs_dilation": (2, 3)},
  "spread": {"padding": [(2, 2), (1, 0)], "rhs_dilation": (2, 1)},
  "grouped": {"padding": "VALID", "feature_group_count": 2},
}


@pytest.mark.parametrize("options", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_convolutions_have_the_flops_of_xla(options):
  def function(images, kernel):
    options_ = {"window_strides": (1, 1)} | options
    names = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(images, kernel, dimension_numbers=names, **options_)

  channels = 4 // options.get("feature_group_count", 1)
  program_ = lowered(function, *like((2, 9, 8, 4), (3, 3, channels, 6)))
  expected = program_.cost_analysis()["flops"]
  assert dict(program.counts(program_.compiler_ir()))["flops default"] == expected > 0


def test_products_have_the_flops_of_xla():
  program_ = lowered(lambda a, b: jnp.einsum("bij,bkj->bik", a, b), *like((3, 4, 5), (3, 6, 5)))
  assert program_.cost_analysis()["flops"] == 2 * 3 * 4 * 6 * 5
  assert dict(program.counts(program_.compiler_ir()))["flops default"] == 2 * 3 * 4 * 6 * 5


def test_a_convolution_by_hand():
  def function(images, kernel):
    return lax.conv(images, kernel, (1, 1), "SAME")

  # Of 3 taps at 4 places of a side, 2 are beside it.
  found = counted(function, *like((1, 1, 4, 4), (1, 1, 3, 3)))
  assert found["flops default"] == 2 * (3 * 4 - 2) ** 2


def test_bytes_by_hand():
  def function(a, b):
    return jnp.tanh(a @ b) * 2.0 + jnp.ones((2, 4)).reshape(8, 1).reshape(2, 4)

  found = counted(function, *like((2, 3), (3, 4)))
  a, b, c = 4 * 6, 4 * 12, 4 * 8
  assert found["fused"] == (a + b + c) + (a + b + c)  # of the product; arguments and result
  # Numbers that are the same everywhere are not read: tanh, times 2, plus 1.
  assert found["unfused"] == (a + b + c) + 3 * 2 * c


def test_a_view_is_read_as_what_it_shows():
  def function(row, table):
    return jnp.broadcast_to(row, (1000, 4)) * table, lax.slice(table, (0, 0), (1, 4))

  found = counted(function, *like((1, 4), (1000, 4)))
  assert found["unfused"] == 4 * (4 + 2 * 4000) + 4 * (4 + 4)


def test_what_nothing_reads_and_what_is_there_twice_is_not_counted():
  def function(a, b):
    unread = jax.jit(lambda: (a @ a, a @ b))
    return unread()[1] + jnp.sin(a @ b) + jnp.cos(a @ b)

  found = counted(function, *like((3, 3), (3, 3)))
  assert found["products"] == 2  # of the inner program, and of the outer


def test_conditionals_are_counted_by_their_share_and_loops_by_their_turns():
  def function(a, rare):
    a = lax.cond(rare, lambda a: a @ a @ a, lambda a: a @ a, a)
    return lax.scan(lambda a, _: (a @ a, None), a, length=5)[0]

  arguments = (*like((3, 3)), jax.ShapeDtypeStruct((), bool))
  assert counted(function, *arguments, share=0.25)["products"] == 0.25 * 2 + 0.75 * 1 + 5
  with pytest.raises(ValueError, match="no number of turns"):
    counted(lambda x: lax.while_loop(lambda x: x < 5 * x, lambda x: x + 1, x), *like(()))


def test_products_are_of_kinds():
  def function(a, b):
    exact = jnp.matmul(a, a, precision="highest")
    return b @ b, a @ a, exact, jnp.matmul(a, a, precision="high")

  found = counted(function, *like((2, 2)), *like((2, 2), dtype=jnp.bfloat16))
  kinds = ("bfloat16", "default", "high", "highest")
  assert {f"flops {kind}": 16 for kind in kinds}.items() <= found.items()


def test_values_that_products_touch_by_hand():
  def function(a, b):
    c = a @ b
    e = jnp.cos(jnp.sin(c))  # the sine is neither read nor written by a product
    return jnp.sum(jnp.exp(e @ b))

  a, b = like((10, 10), (10, 10))
  jaxpr = jax.make_jaxpr(function)(a, b).jaxpr
  assert presets.peak(jaxpr, of_products=True) == 2 * 400  # e, and its product


COUNTS = program.Counts(
  {"flops bfloat16": 100.0, "flops highest": 10.0, "fused": 40.0, "unfused": 400.0}
)


def chip(bandwidth):
  return Chip("c", 1000.0, bandwidth, {"bfloat16": 50.0, "highest": 5.0}, ())


@pytest.mark.parametrize(
  ("bandwidth", "times", "bound"),
  [(100.0, (4.0, 4.0), "compute"), (20.0, (4.0, 20.0), "either"), (5.0, (8.0, 80.0), "memory")],
)
def test_a_time_by_hand(bandwidth, times, bound):
  # 100 / 50 and 10 / 5 seconds of products.
  assert predictions.step_seconds(COUNTS, chip(bandwidth)) == times
  assert predictions.bound(COUNTS, chip(bandwidth)) == bound


def test_members_by_hand():
  assert predictions.members(Memory(100, 60, 40, 400), chip(1.0)) == (1, 9)
  assert predictions.members(Memory(2000, 60, 40, 400), chip(1.0)) == (0, 0)


def test_every_published_number_has_its_source():
  for each in CHIPS:
    assert each.sources and all(url.startswith("https://") for *_, url in each.sources)
    for what in (f"{each.memory / 1e9:g} GB", f"{each.peaks['bfloat16'] / 1e12:g} TFLOP/s"):
      values = [value for _, value, _ in (*each.sources, *CHIPS[0].sources)]
      assert any(what in value for value in values)


def test_the_command_prints_a_page(monkeypatch, capsys):
  monkeypatch.setattr(command, "PRESETS", {"pacgan2018": {}})
  assert command.main(["roofline"]) == 0
  text = capsys.readouterr().out
  assert len(re.findall(r"^\| `pacgan2018` \| float32 \|", text, re.MULTILINE)) == 3
  assert command.main(["roofline", "--docs=page.txt"]) == 2
  assert ".md" in capsys.readouterr().err


def test_numbers_have_three_digits():
  assert [page._number(value) for value in (0.012345, 12.3456, 1234.5)] == [
    "0.0123",
    "12.3",
    "1,234",
  ]
