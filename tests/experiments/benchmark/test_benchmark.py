"""The benchmark's names, arithmetic, table, pictures and files; its workers are stand-ins here."""

import io
import json
import subprocess
import sys
import types

import numpy as np
import pytest

from experiments.benchmark import __main__ as benchmark
from experiments.benchmark import (
  cases,
  compare,
  device,
  figures,
  flops,
  forms,
  operations,
  ours,
  results,
  worker,
)
from gan import models, penalties
from gan.errors import UserError
from gan.training import presets
from gan.training.validation import validate


def test_a_name_says_what_differs_from_a_plain_step():
  case = cases.parse("dcgan-64-r1-k5-b256-bf16")
  assert (case.model, case.size, case.task, case.penalty) == ("dcgan", 64, "step", "r1")
  assert (case.discriminator_steps, case.batch_size, case.precision) == (5, 256, "bfloat16")
  assert case.image_shape == (64, 64, 3)
  plain = cases.parse("mlp")
  assert (plain.size, plain.discriminator_steps, plain.batch_size, plain.runs_per_call) == (
    28,
    1,
    128,
    0,
  )
  assert plain.plain and not case.plain
  assert cases.parse("mlp-m4-b64").runs_per_call == 4


@pytest.mark.parametrize(
  "name",
  [
    "unet",
    "dcgan-29x",
    "dcgan-30",
    "dcgan-r1-wgan_gp",
    "mlp-k0",
    "mlp-k2-k3",
    "mlp-64-evaluation",
    "mlp-sampling-m4",
    "dcgan-w16",
    "resnet-28",
    "resnet-r1",
    "r3gan-sampling",
    "sngan_cifar10-64",
    "",
  ],
)
def test_a_name_that_means_nothing_is_refused(name):
  with pytest.raises(UserError, match=f"--cases={name}"):
    cases.parse(name)


def test_networks_of_papers_have_games_of_their_own():
  told = {
    case.name: (case.width, case.batch_size, case.game.loss, case.penalty, case.game.classes)
    for case in cases.chosen("modern")
  }
  assert told == {
    "resnet-32": (32, 64, "hinge", "none", 0),
    "biggan-32": (64, 50, "hinge", "none", 10),
    "stylegan2-32": (64, 32, "nonsat", "r1", 0),
    "r3gan-32": (96, 64, "rsgan", "r1r2", 0),
  }
  case = cases.parse("resnet-w16-b8")
  assert (case.size, case.width, case.batch_size) == (32, 16, 8)
  assert case.family != cases.parse("resnet").family == cases.parse("resnet-b8").family


def test_presets_play_their_own_game_at_their_full_size():
  told = {
    case.name: (
      case.discriminator_steps,
      case.batch_size,
      case.generator_batch_size,
      case.precision,
    )
    for case in cases.chosen("presets")
  }
  assert told == {
    "sngan_cifar10": (5, 64, 128, "float32"),
    "biggan_cifar10": (4, 50, 50, "float32"),
    "stylegan2_cifar10": (1, 64, 64, "float32"),
    "r3gan_cifar10-b64": (1, 64, 64, "bfloat16"),
    "r3gan_cifar10-b256": (1, 256, 256, "bfloat16"),
  }
  games = [cases.parse(name).game for name in cases.FULL]
  assert [game.penalty_every for game in games] == [1, 1, 16, 1]
  assert [game.latent_dim for game in games] == [128, 128, 512, 64]
  assert [game.averaged for game in games] == [False, True, True, True]
  assert cases.parse("sngan_cifar10-k1-w8-b4-bf16").width == 8


def test_a_turn_has_its_share_of_lazy_penalties():
  plan = compare.Plan("gpu", False, (), 1, 0.5)
  assert compare._count(cases.parse("stylegan2_cifar10"), plan, 10.0) == 64
  assert compare._count(cases.parse("sngan_cifar10"), plan, 10.0) == 50


def test_every_group_has_cases_that_this_library_knows():
  for name in cases.GROUPS:
    for case in cases.chosen(name):
      assert case.model in models.MODELS or case.model in presets.PRESETS
      assert case.penalty in penalties.PENALTIES
      validate(ours.make_config(case))
  assert set(cases.default_groups("cpu").split(",")) == (
    set(cases.GROUPS) - {"accelerator", "presets"}
  )
  assert cases.default_groups("gpu") == "accelerator,presets"


def test_cases_are_chosen_once():
  chosen = [case.name for case in cases.chosen("mlp,steps,mlp")]
  assert chosen[0] == "mlp" and len(chosen) == len(set(chosen)) == 12


@pytest.mark.parametrize(
  ("name", "least"),
  [
    ("mlp", 2.0),
    ("dcgan-28", 1.2),
    ("infogan", 1.2),
    ("dcgan-64", 1.0),
    ("dcgan-64-r1", 1.2),
    ("mlp-wgan_gp", 1.2),
    ("mlp-sampling", 1.2),
    ("stylegan2-32", 1.0),
    ("resnet-w16", None),
    ("sngan_cifar10", None),
    ("mlp-k5", None),
    ("dcgan-28-b256", None),
    ("mlp-b64-m2", None),
    ("dcgan-28-evaluation", None),
  ],
)
def test_targets_are_of_the_networks_own_cases(name, least):
  assert cases.target(cases.parse(name)) == least


def test_on_a_gpu_all_steps_have_one_target():
  for case in cases.chosen(cases.default_groups("gpu")):
    assert cases.target(case, "gpu") == 1.2


def test_operations_by_hand():
  # D: 4x4 kernels, 1 -> 64 on 14x14, 64 -> 128 on 7x7, dense 6272 -> 1; G: dense 64 -> 6272, back.
  first, second, dense = 16 * 64 * 14**2, 16 * 64 * 128 * 7**2, 6272
  g, d = 64 * 6272 + second + first, first + second + dense
  assert flops.layers(cases.parse("dcgan-28")) == (
    [64 * 6272, second, first],
    [first, second, dense],
  )
  update_d = g + 2 * (d + (2 * d - first))
  update_g = g + d + d + (2 * g - 64 * 6272)
  assert flops.step_flops(cases.parse("dcgan-28-b10")) == 20 * (update_d + update_g)
  assert flops.step_flops(cases.parse("dcgan-28-k5-b10")) == 20 * (5 * update_d + update_g)
  # The gradient of the score, and two products for the gradient of that.
  extra = 3 * (first + second)
  assert flops.step_flops(cases.parse("dcgan-28-r1-b10")) == 20 * (update_d + extra + update_g)
  assert flops.step_flops(cases.parse("dcgan-28-wgan_gp-b10")) == 20 * (
    update_d + d + extra + update_g
  )
  assert flops.sampling_flops(cases.parse("dcgan-28-sampling")) == 1000 * g


def test_a_ratio_is_the_peers_time_over_ours():
  assert results.ratios([2.0, 4.0, 5.0], [3.0, 8.0, 5.0]) == [1.5, 2.0, 1.0]
  assert results.spread([1.5, 2.0, 1.0]) == (1.5, 1.0, 2.0)


def side(milliseconds, gflops, **about):
  return {"milliseconds": milliseconds, "gflops": gflops, "peak_mib": 100.0, "count": 3, **about}


def record_of(name, ours, peer=None):
  case = cases.parse(name)
  return results.summary(
    case,
    "cpu",
    side(ours, [50.0] * len(ours)),
    peer and side(peer, [100.0] * len(peer), form="channels_last"),
  )


def test_a_share_is_of_the_better_librarys_products():
  record = record_of("dcgan-28", [100.0, 200.0, 100.0], [200.0, 300.0, 200.0])
  operations = flops.step_flops(cases.parse("dcgan-28"))
  assert record["product_gflops"] == 100.0
  # 100 GFLOP/s for 0.1 s are 10 GFLOP.
  assert record["share"]["ours"] == pytest.approx(operations / 10e9)
  assert record["share"]["peer"] == pytest.approx(operations / 20e9)
  assert record["ratios"] == [2.0, 1.5, 2.0]
  assert record["ratio"] == {"median": 2.0, "low": 1.5, "high": 2.0}
  assert record["target"] == 1.2


def test_the_table_tells_ratios_and_whether_targets_are_met():
  met, missed = record_of("dcgan-28", [100.0], [125.0]), record_of("mlp", [10.0], [19.0])
  alone = record_of("mlp-b64-m2", [10.0])
  share = flops.step_flops(cases.parse("dcgan-28")) / 10e9
  start = results.start_summary(
    cases.parse("mlp-start"),
    {"ours": {"cold": [30.0], "warm": [5.0, 4.0]}, "peer": {"cold": [9.0], "warm": [6.0, 12.0]}},
  )
  lines = results.table([met, missed, alone, start]).splitlines()
  cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
  assert cells[0] == list(results.COLUMNS)
  assert cells[2][:6] == [
    *("dcgan-28", "100 (100 to 100)", "125 (125 to 125)", "channels_last"),
    *("1.25 (1.25 to 1.25)", "1.2 met"),
  ]
  assert (
    cells[2][7]
    == f"{share:.0%} (target 65% {'met' if share >= 0.65 else 'not met'}), {share / 1.25:.0%}"
  )
  assert cells[3][4:6] == ["1.90 (1.90 to 1.90)", "2.0 not met"]
  assert cells[4][:6] == ["mlp-b64-m2", "10.0 (10.0 to 10.0)", "", "", "", ""]
  assert len({len(line) for line in lines[:5]}) == 1
  assert cells[8] == ["mlp-start", "cold", "30.0", "25 not met", "9.0", "0.30"]
  assert cells[9] == ["mlp-start", "warm", "4.5", "6 met", "9.0", "2.00"]


def test_curves_join_steps_that_differ_in_one_thing():
  names = ["dcgan-28", "dcgan-28-b64", "dcgan-28-r1", "dcgan-28-k5", "dcgan-64", "mlp-b64-m1"]
  records = [record_of(name, [1.0], [2.0]) for name in (*names, "mlp-b64-m4", "mlp-sampling")]
  drawn = {
    label: [[record["case"] for record in line] for line in lines.values()]
    for label, lines in figures.curves(records).items()
  }
  assert drawn == {
    "batch": [["dcgan-28-b64", "dcgan-28"]],
    "discriminator steps k": [["dcgan-28", "dcgan-28-k5"]],
    "pixels on a side": [["dcgan-28-b64", "dcgan-64"]],
    "members": [["mlp-b64-m1", "mlp-b64-m4"]],
  }


class Stub:
  """A worker that takes `times[form]` milliseconds."""

  times = {
    "ours": 10.0,
    "eager": 30.0,
    "channels_last": 20.0,
    "compile": 29.0,
    "compile_channels_last": 25.0,
  }
  opened: list[str] = []
  orders: list[str] = []
  parameters = {"ours": [3, 2]}

  def __init__(self, module, case, form="ours", *rest, environment):
    self.form, self.seconds = form, 1.0
    self.about = {"parameters": self.parameters.get(form, [3, 2])}
    self.opened.append(form)

  def turn(self, count):
    self.orders.append(self.form)
    return {"milliseconds": self.times[self.form], "peak_mib": 1.0}

  def rate(self):
    return 100.0

  def close(self):
    self.orders.append(f"{self.form} closed")

  def __enter__(self):
    return self

  def __exit__(self, *error):
    self.close()


@pytest.fixture
def stub(monkeypatch):
  fresh = type("Stub", (Stub,), {"opened": [], "orders": [], "parameters": {"ours": [3, 2]}})
  monkeypatch.setattr(compare, "Worker", fresh)
  monkeypatch.setattr(compare, "has_compiler", lambda: True)
  return fresh


PLAN = compare.Plan("cpu", True, compare.FORMS, pairs=2, seconds=0.5)


def test_the_quickest_form_is_the_peer_and_sides_take_turns(stub):
  record = compare.run(cases.parse("dcgan-28"), PLAN, {})
  assert stub.opened == ["ours", "eager", "channels_last", "compile_channels_last"]
  assert record["peer"]["form"] == "channels_last"
  assert record["peer"]["tried_milliseconds"]["eager"] == 30.0
  assert record["ratios"] == [2.0, 2.0]
  assert record["ours"]["count"] == record["peer"]["count"] == 50  # 0.5 s on the quicker side
  assert stub.orders[-6:-2] == ["ours", "channels_last"] * 2
  assert [order for order in stub.orders if order.endswith("closed")] == [
    *("eager closed", "compile_channels_last closed", "channels_last closed", "ours closed"),
  ]


def test_cases_of_a_family_share_the_form(stub):
  known = {}
  compare.run(cases.parse("dcgan-28"), PLAN, known)
  stub.opened.clear()
  compare.run(cases.parse("dcgan-28-k5"), PLAN, known)
  assert stub.opened == ["ours", "channels_last"]
  stub.opened.clear()
  compare.run(cases.parse("dcgan-28-r1"), PLAN, known | {("mlp",): "eager"})
  assert len(stub.opened) == 4


def test_without_convolutions_or_a_compiler_fewer_forms_are_tried(stub, monkeypatch):
  assert compare.run(cases.parse("mlp"), PLAN, {})["peer"]["form"] == "compile"
  assert stub.opened == ["ours", "eager", "compile"]
  monkeypatch.setattr(compare, "has_compiler", lambda: False)
  stub.opened.clear()
  assert compare.run(cases.parse("mlp"), PLAN, {})["peer"]["form"] == "eager"
  assert stub.opened == ["ours", "eager"]


def test_a_form_that_fails_is_left_out_and_said(stub, monkeypatch, capsys):
  def failing(self, count):
    if self.form in broken:
      raise UserError("a worker ended with exit code 1; see above")
    return Stub.turn(self, count)

  broken = {"eager", "compile_channels_last"}
  monkeypatch.setattr(stub, "turn", failing)
  record = compare.run(cases.parse("dcgan-28"), PLAN, {})
  assert record["peer"]["form"] == "channels_last"
  assert set(record["peer"]["tried_milliseconds"]) == {"channels_last"}
  assert "dcgan-28: PyTorch cannot do eager here: a worker ended" in capsys.readouterr().out
  broken = {"eager", "channels_last", "compile"}
  with pytest.raises(UserError, match="dcgan-28: PyTorch can do none of eager, channels_last, com"):
    compare.run(cases.parse("dcgan-28"), PLAN, {})


def test_other_networks_are_refused(stub):
  stub.parameters = {"ours": [3, 1]}
  with pytest.raises(UserError, match=r"mlp: \[3, 1\] parameters of G and D here, \[3, 2\]"):
    compare.run(cases.parse("mlp"), PLAN, {})


def test_what_has_no_peer_is_timed_alone(stub):
  record = compare.run(cases.parse("mlp-b64-m2"), PLAN, {})
  assert stub.opened == ["ours"]
  assert "ratio" not in record and "peer" not in record
  assert record["operations"] == 2 * flops.step_flops(cases.parse("mlp-b64"))


def test_operations_of_networks_of_papers_are_not_counted(stub):
  record = compare.run(cases.parse("r3gan-32"), PLAN, {})
  assert record["operations"] is None and "share" not in record
  assert results.row(record)[6:8] == ["", ""]


def test_the_first_start_is_cold_and_the_others_find_its_cache(stub):
  record = compare.run(cases.parse("mlp-start"), PLAN, {})
  for seconds in record["seconds"].values():
    assert (len(seconds["cold"]), len(seconds["warm"])) == (1, compare.WARM_STARTS)
  assert stub.opened == ["ours", "eager"] * (1 + compare.WARM_STARTS)


@pytest.fixture
def machine(monkeypatch):
  monkeypatch.setattr(device, "describe", lambda: {"backend": "cpu"})
  monkeypatch.setattr(benchmark.importlib.util, "find_spec", lambda name: name)


KEYS = {"case", "task", "ours", "operations", "product_gflops", "peer", "share", "ratios", "ratio"}
SIDE_KEYS = {"count", "milliseconds", "peak_mib", "gflops", "seconds_to_first", "parameters"}


def test_the_command_writes_every_turn_the_table_and_pictures(stub, machine, tmp_path, capsys):
  chosen = "--cases=dcgan-28,dcgan-28-b64,mlp-b64-m2,mlp-start"
  code = benchmark.main(["benchmark", chosen, "--pairs=3", f"--outdir={tmp_path}"])
  assert code == 0
  report = json.loads((tmp_path / "benchmark.json").read_text())
  assert set(report) == {"format", "command", "environment", "cases", "sweeps"}
  assert report["format"] == results.FORMAT
  assert chosen in report["command"]
  first, _, alone, start = report["cases"]
  assert set(first) >= KEYS
  for name in ("ours", "peer"):
    assert set(first[name]) >= SIDE_KEYS
    assert len(first[name]["milliseconds"]) == len(first[name]["gflops"]) == 3
  assert "peer" not in alone
  assert set(start["seconds"]) == {"ours", "peer"}
  assert results.table(report["cases"]) + "\n" == (tmp_path / "table.md").read_text()
  for name in ("ratios.png", "growth.png"):
    assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
  assert (
    "dcgan-28: ours, ms 10.0 (10.0 to 10.0); PyTorch, ms 20.0 (20.0 to 20.0)"
    in capsys.readouterr().out
  )


@pytest.mark.parametrize(
  ("flag", "message"),
  [
    ("--cases=unet", "--cases=unet: unet is neither a group nor one of mlp, dcgan, infogan,"),
    ("--forms=jit", "--forms=jit is unknown: choose from eager, channels_last, compile"),
    ("--pairs=0", "--pairs=0 must be above 0"),
    ("--seconds=-1", "--seconds=-1.0 must be above 0"),
  ],
)
def test_bad_flags_are_refused(flag, message, stub, machine, tmp_path, capsys):
  assert benchmark.main(["benchmark", flag, f"--outdir={tmp_path}"]) == 2
  assert message in capsys.readouterr().err
  assert not stub.opened


def test_without_pytorch_the_command_says_how_to_get_it(machine, monkeypatch, tmp_path, capsys):
  monkeypatch.setattr(benchmark.importlib.util, "find_spec", lambda name: None)
  assert benchmark.main(["benchmark", f"--outdir={tmp_path}"]) == 2
  assert "PyTorch is not installed: pip install -e '.[bench]'" in capsys.readouterr().err


def test_a_device_without_a_peer_is_refused():
  assert device.kind({"backend": "gpu"}) == "gpu"
  with pytest.raises(UserError, match="tpu: set JAX_PLATFORMS=cpu"):
    device.kind({"backend": "tpu"})


def test_a_worker_answers_every_order(monkeypatch, capsys):
  done = []
  work = worker.Work([3, 2], done.append, lambda: 7.0, lambda: 5.0, {"version": "1"})
  monkeypatch.setattr(sys, "stdin", io.StringIO("turn 4\nrate\n"))
  worker.serve(work)
  hello, turn, rate = map(json.loads, capsys.readouterr().out.splitlines())
  assert hello == {"parameters": [3, 2], "version": "1"}
  assert done == [1, 4] and turn["peak_mib"] == 5.0
  assert rate == {"gflops": 7.0}


def test_the_time_of_a_turn_is_divided_by_its_count(monkeypatch):
  ticks = iter([10.0, 12.0])
  monkeypatch.setattr(worker, "time", types.SimpleNamespace(perf_counter=lambda: next(ticks)))
  work = worker.Work([], lambda count: None, None, lambda: 0.0, {})
  assert worker._turn(work, 4)["milliseconds"] == 2.0 / 4 * 1e3


def test_a_worker_that_ends_is_an_error():
  with pytest.raises(UserError, match="a worker ended with exit code 1"):
    worker.Worker("cases_that_do_not_exist")


def test_the_command_and_the_cases_import_no_library_of_arrays():
  """A process that holds a device would disturb the workers."""
  modules = ["cases", "flops", "worker", "results", "compare"]
  code = f"""
import importlib, sys
for module in {modules!r}:
  importlib.import_module(f"experiments.benchmark.{{module}}")
assert not {{"jax", "torch"}} & set(sys.modules)
"""
  subprocess.run([sys.executable, "-c", code], check=True)


def test_our_worker_steps_a_group_of_runs():
  from experiments.benchmark import ours

  work = ours.make_work(cases.parse("mlp-b4-m2"))
  assert work.parameters == [1477136, 1460225]
  work.run(1)
  work.run(2)  # takes the states that the call before has made
  assert work.peak_memory() > 0


# Where the time goes.


def test_operations_are_told_by_the_names_that_xla_gives():
  told = {
    "conv_general_dilated.34": operations.REST,
    "convolution-window-dilated": operations.REST,
    "custom-call.16.clone__onednn$convolution": operations.REST,
    "ynn_fusion.18": "products and sums by YNNPACK",
    "dot.5": "other products",
    "transpose_copy_fusion.6": "copies, transpositions, patches",
    "convert_fusion": "element-wise",
    "add_tanh_fusion": "element-wise",
  }
  assert {name: operations.kind(name) for name in told} == told


def test_convolutions_are_what_other_operations_leave_of_the_step():
  spent = {"ynn_fusion": 20.0, "dot.1": 5.0, "copy": 10.0, "tanh_fusion": 15.0, "conv.2": 1.0}
  rows = operations.rows(100.0, spent)
  # 100 - 20 - 5 - 10 - 15
  assert rows[0] == [operations.REST, "50.0", "50%"]
  assert rows[1:] == [
    ["products and sums by YNNPACK", "20.0", "20%"],
    ["other products", "5.0", "5%"],
    ["copies, transpositions, patches", "10.0", "10%"],
    ["element-wise", "15.0", "15%"],
    ["the whole step", "100.0", "100%"],
  ]


def test_a_step_without_convolutions_leaves_nothing_to_them():
  rows = operations.rows(10.0, {"ynn_fusion": 8.0, "tanh_fusion": 4.0})
  assert operations.REST not in [name for name, *_ in rows]
  assert rows[0] == ["products and sums by YNNPACK", "8.0", "80%"]


def test_profile_of_no_case_is_refused_in_one_line(capsys):
  assert operations.main(["operations", "--case=unet"]) == 2
  assert "unet is neither" in capsys.readouterr().err


def test_timed_forms_compute_the_same():
  images, inputs, kernel = forms._operands((2, 8, 8, 3), (2, 4, 4, 5), (4, 4, 3, 5))
  for functions, order in forms.FORMS.values():
    plain, *others = (form(*order(images, inputs, kernel)) for form in functions.values())
    for other in others:
      np.testing.assert_allclose(other, plain, atol=1e-4)
