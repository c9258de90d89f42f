"""Sweeps beside single commands: the arithmetic, and that both sides train the same runs."""

import json

import pytest

import gan.sweeps.plan
import gan.training.loop
from experiments import mnist, ring, sweep
from experiments.benchmark import __main__ as benchmark
from experiments.benchmark import sweeps
from gan.errors import UserError

CASES = sweeps.SWEEP_CASES


class Stop(Exception):
  """A command has said what it would train."""


def test_a_ratio_above_1_is_a_faster_sweep():
  assert sweeps.Timing(4, [3.0, 2.0, 3.0, 2.0], 5.0).ratio == 10.0 / 5.0
  assert sweeps.Timing(2, [1.0, 1.0], 4.0).ratio == 2.0 / 4.0


def test_commands_that_were_not_timed_take_as_long_as_the_others():
  timing = sweeps.Timing(32, [5.0, 7.0, 6.0], 24.0)
  assert timing.one_by_one == 32 * 6.0
  assert timing.ratio == 32 * 6.0 / 24.0


def test_a_scaled_line_says_so():
  scaled = sweeps.Timing(32, [5.0, 7.0, 6.0], 24.0).describe(6.0)
  assert "one by one 192.0 s (3 of 32 single commands timed, scaled), sweep 24.0 s" in scaled
  assert "ratio 8.00 (target: at least 6.00)" in scaled
  assert "(2 of 2 single commands timed)," in sweeps.Timing(2, [1.0, 1.0], 4.0).describe(1.0)


@pytest.mark.parametrize("steps", [1, 49, 50, 99, 500, 510, 1234])
def test_warming_up_needs_the_programs_of_all_steps(steps):
  warm = sweeps.warm_up_steps(steps)
  assert warm <= min(steps, 2 * sweeps.LOG_EVERY)
  # Calls of LOG_EVERY steps if there are any, and one of what is left.
  assert warm % sweeps.LOG_EVERY == steps % sweeps.LOG_EVERY
  assert (warm >= sweeps.LOG_EVERY) == (steps >= sweeps.LOG_EVERY)


def flags_of(command):
  return dict(flag.removeprefix("--").split("=", 1) for flag in command if flag.startswith("--"))


@pytest.mark.parametrize("name", CASES)
def test_commands_differ_in_seeds_and_folders_alone(name):
  single = flags_of(sweeps.single_command(CASES[name], 3, 70, "one"))
  together = flags_of(sweeps.sweep_command(CASES[name], 70, "all"))
  assert (single.pop("seed"), single.pop("workdir")) == ("3", "one")
  assert (together.pop("seed"), together.pop("workdir")) == ("0", "all")
  assert together.pop("seeds") == str(CASES[name].runs)
  assert together.pop("experiment") == CASES[name].experiment
  assert together.pop("losses") == single.pop("loss")
  assert together == single
  # What is written is never left to the defaults, in which the commands differ.
  for cadence in ("log_every", "sample_every", "eval_every", "checkpoint_every"):
    assert cadence in single


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.runs <= 32])
def test_both_sides_train_the_same_configs(name, monkeypatch, tmp_path):
  """The commands themselves read the flags; what they would train is caught."""
  seen = []

  def catch(what, *args, **kwargs):
    seen.append(what)
    raise Stop

  monkeypatch.setattr(gan.training.loop, "fit", catch)
  monkeypatch.setattr(gan.sweeps.plan, "make_plan", catch)
  case, folder = CASES[name], str(tmp_path)
  single = {"ring": ring, "mnist": mnist}[case.experiment].main
  for seed in range(case.runs):
    with pytest.raises(Stop):
      single(sweeps.single_command(case, seed, 70, folder)[1:])
  with pytest.raises(Stop):
    sweep.main(sweeps.sweep_command(case, 70, folder)[1:])
  *alone, runs = seen
  assert [run.config for run in runs] == alone


def write_run(folder, steps, status, **identity):
  folder.mkdir(parents=True, exist_ok=True)
  config = {"config": {}, "determining": {"dataset": "ring"} | identity}
  (folder / "config.json").write_text(json.dumps(config))
  (folder / "summary.json").write_text(json.dumps({"status": status, "step": steps}))


@pytest.fixture
def stubbed(monkeypatch, tmp_path):
  """stubbed(**facts) puts the writing of `facts` in the place of running commands; noted."""
  commands = []

  def stub(status="finished", loss="nonsat"):
    def run(command):
      commands.append(flags_of(command))
      flags = commands[-1]
      folder, steps = tmp_path / flags["workdir"], int(flags["steps"])
      if "seeds" not in flags:
        write_run(folder, steps, status, seed=int(flags["seed"]), loss=flags["loss"])
        return
      for seed in range(int(flags["seeds"])):
        write_run(folder / f"members/seed-{seed}", steps, status, seed=seed, loss=loss)

    monkeypatch.setattr(sweeps, "_run", run)
    monkeypatch.setattr(benchmark.device, "describe", lambda: {"backend": "cpu"})
    monkeypatch.chdir(tmp_path)
    return commands

  return stub


def test_single_commands_are_timed_before_and_after_the_sweep(stubbed, capsys):
  commands = stubbed()
  flags = ["--sweeps=ring_small,dcgan", "--sweep_steps=200", "--sweep_singles=3"]
  assert benchmark.main(["benchmark", *flags]) == 0
  ran = [(c.get("experiment", c.get("seed")), c["steps"]) for c in commands]
  warm = str(sweeps.warm_up_steps(200))

  def timed(sweep):
    return [("0", "200"), ("1", "200"), (sweep, "200"), ("2", "200")]

  assert ran[:6] == [("ring", warm), ("0", warm), *timed("ring")]
  assert ran[6:] == [("mnist", warm), ("0", warm), *timed("mnist")]
  assert len({c["workdir"] for c in commands}) == len(commands)
  output = capsys.readouterr().out
  assert "ring_small: 32 runs, 200 steps" in output
  assert "3 of 32 single commands timed, scaled" in output
  assert "3 of 4 single commands timed, scaled" in output
  assert f"both warmed up with {warm} steps; data set ring" in output


def test_no_more_commands_are_timed_than_there_are_runs(stubbed, capsys):
  stubbed()
  assert benchmark.main(["benchmark", "--sweeps=dcgan", "--sweep_singles=9"]) == 0
  assert "(4 of 4 single commands timed)," in capsys.readouterr().out


def test_runs_that_stopped_early_have_no_ratio(stubbed, capsys):
  stubbed(status="diverged at step 3")
  assert benchmark.main(["benchmark", "--sweeps=ring_small"]) == 2
  captured = capsys.readouterr()
  assert "and is diverged at step 3" in captured.err
  assert "ratio " not in captured.out.split("ring_small")[1]


def test_a_sweep_of_other_runs_is_refused(stubbed, capsys):
  stubbed(loss="wgan")
  assert benchmark.main(["benchmark", "--sweeps=ring_small"]) == 2
  assert "not the runs of the single commands" in capsys.readouterr().err


def test_a_command_that_fails_is_shown_with_its_last_words():
  with pytest.raises(
    UserError, match=r"-m nosuch .* exit code 1: ImportError: No module named nosu"
  ):
    sweeps._run(["-m", "nosuch"])


@pytest.mark.parametrize(
  ("flag", "message"),
  [
    ("--sweeps=ring_small,unet", "--sweeps=unet is unknown: choose from ring_small, ring_large"),
    ("--sweep_steps=0", "--sweep_steps=0 must be above 0"),
    ("--sweep_singles=-1", "--sweep_singles=-1 must be above 0"),
  ],
)
def test_bad_flags_are_refused_before_anything_runs(flag, message, stubbed, capsys):
  commands = stubbed()
  assert benchmark.main(["benchmark", "--sweeps=dcgan", flag]) == 2
  assert message in capsys.readouterr().err
  assert not commands


def test_without_sweeps_and_with_a_peer_steps_are_compared(monkeypatch, stubbed):
  stubbed()
  compared = []
  monkeypatch.setattr(benchmark, "_compare", lambda plan, *rest: compared.append(plan.peer))
  monkeypatch.setattr(benchmark.importlib.util, "find_spec", lambda name: name)
  for flags in ([], ["--peer=torch"], ["--peer=torch", "--sweeps=dcgan"], ["--sweeps=dcgan"]):
    assert benchmark.main(["benchmark", *flags]) == 0
  assert benchmark.main(["benchmark", "--cases=mlp", "--peer=none", "--sweeps=dcgan"]) == 0
  assert compared == [True] * 3 + [False]


def test_timings_are_kept(stubbed, tmp_path):
  stubbed()
  flags = ["--sweeps=dcgan", "--sweep_steps=200", f"--outdir={tmp_path / 'out'}"]
  assert benchmark.main(["benchmark", *flags]) == 0
  (record,) = json.loads((tmp_path / "out" / "benchmark.json").read_text())["sweeps"]
  assert (record["case"], record["members"], record["steps"]) == ("dcgan", 4, 200)
  assert record["ratio"] == record["one_by_one"] / record["sweep"]
