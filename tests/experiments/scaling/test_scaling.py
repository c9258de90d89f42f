"""The exact parts of the cost sheet: bytes by hand, and the formula against compiled programs."""

import jax
import pytest

from experiments.scaling import __main__ as command
from experiments.scaling import page, traffic, worker
from experiments.scaling.cases import Case
from experiments.scaling.machines import MACHINES, Machine
from gan.training.config import Config

SIZES = traffic.Sizes(3, 5, 2, 4, updates=2, metrics=8)


def test_bytes_of_a_step_by_hand():
  # Gradients: 2 of D, 1 of G. Statistics of G: 2 forward in D's updates, forward and backward in
  # its own, 1 running; of D: real and fake, forward and backward, twice, 2 running, and fake again,
  # forward and backward, in G's update.
  numbers = 2 * 5 + 3 + (2 + 2 + 1) * 2 + (8 + 2 + 2) * 4 + 8
  assert numbers == 79
  assert traffic.step_bytes(SIZES) == 4 * numbers


@pytest.mark.parametrize(("devices", "sent"), [(1, 0), (2, 100), (4, 150), (8, 175)])
def test_a_ring_sends_twice_all_but_one_share(devices, sent):
  assert traffic.ring_bytes(100, devices) == sent


def test_collectives_are_read_off_a_program():
  program = """
  %a = f32[16]{0} add(%b, %c)
  %all-reduce.1 = (f32[64,2]{1,0}, f32[]) all-reduce(%x, %y), replica_groups={{0,1}}
  %all-gather = u32[8]{0} all-gather-start(%z), dimensions={0}
  %q = bf16[3]{0} collective-permute(%p), source_target_pairs={{0,1}}
  ROOT %r = f32[64]{0} fusion(%all-reduce.1), calls=%all-reduce
  """
  assert traffic.collectives(program) == [
    ("all-reduce", 4 * 129),
    ("all-gather", 32),
    ("collective-permute", 6),
  ]


METHODS = {
  "points": Case(Config(model="points", width=8, batch_size=8, latent_dim=4), (2,)),
  "batch statistics in both, two updates of D": Case(
    Config(
      model="dcgan",
      width=4,
      batch_size=8,
      latent_dim=4,
      discriminator_norm="batch",
      discriminator_steps=2,
    )
  ),
}


@pytest.mark.parametrize("name", sorted(METHODS))
def test_the_formula_is_what_the_compiled_step_averages(name):
  assert jax.device_count() == 2
  count = worker._counted(METHODS[name], "shard_map", {})
  assert count["kinds"] == ["all-reduce"]
  assert count["bytes"] == traffic.step_bytes(traffic.Sizes(**count["sizes"]))
  assert count["checkpoint"]["bytes"] > count["sizes"]["generator"]


def test_efficiency_by_hand():
  machine = Machine("m", flops=100.0, domain=2, fast=10.0, slow=1.0, sources=())
  count = {"flops": 100.0, "bytes": 40}
  # Half of the FLOPs at half of the peak take 1 s; 2 * 1/2 * 40 bytes at 10 a second take 4 s.
  assert page.predicted(machine, count, 2, 0.5, grown=False) == 1 / (1 + 4)
  assert page.predicted(machine, count, 2, 0.5, grown=True) == 2 / (2 + 4)
  # Four devices are past the fast links: 2 * 3/4 * 40 bytes at 1 a second.
  assert page.predicted(machine, count, 4, 0.5, grown=False) == 0.5 / (0.5 + 60)


def test_every_published_number_has_its_source():
  for machine in MACHINES:
    assert machine.sources and all(url.startswith("https://") for *_, url in machine.sources)


def test_no_steps_are_refused_in_one_line(capsys):
  assert command.main(["scaling", "--steps=0"]) == 2
  assert capsys.readouterr().err == "error: --steps=0 must be above 0\n"
