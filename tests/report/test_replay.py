"""A search whose truth is known, as successive halving would have made it."""

import pytest
from fake_studies import write_run

from experiments.study import replay as command
from gan.errors import UserError
from gan.report import replay
from gan.training.run_folder import write_json

# By the factor 2 the rungs of 40 steps are 10 and 20: four settings, two, one.
EARLY = ([9, 8, 7, 6], [5, 4, 3, 2], [6, 6, 6, 3], [9, 9, 9, 9])  # the second is always the best
LATE = (*EARLY[:3], [9, 9, 5, 1])  # the last is the best, and not before the rungs
SEARCHED = {"hinge": EARLY, "lsgan": LATE, "nonsat": LATE, "sat": LATE}
CONFIRMED = {"lsgan": [1.0, 1.5, 2.5], "nonsat": [1.0, 1.1, 1.2]}


def write(sweep, loss, sample, seed, values, status="finished"):
  name = f"{loss},sample={sample},seed={seed}"
  write_run(
    sweep / "members" / name,
    loss,
    seed,
    values={"frechet_distance": values},
    config_steps=40,
    eval_every=10,
    status=status,
    pictures=False,
    generator_learning_rate=10.0**-sample,
  )
  return {"name": name, "varied": {"loss": loss, "seed": seed}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  folder = tmp_path_factory.mktemp("study")
  plan = [
    write(folder / "search", loss, i, 0, values)
    for loss, found in SEARCHED.items()
    for i, values in enumerate(found)
  ]
  write_json(folder / "search" / "sweep.json", {"members": plan})
  plan = [
    write(folder / "confirm", loss, 3, seed, [20.0, 20.0, 20.0, value])
    for loss, found in CONFIRMED.items()
    for seed, value in enumerate(found, start=1)
  ]
  write_json(folder / "confirm" / "sweep.json", {"members": plan})
  return folder


def test_a_late_best_is_lost_and_is_the_same_within_its_interval_or_not(folder):
  found = replay.load(folder / "search", factor=2)
  assert (found.metric, found.rungs) == ("frechet_distance", [10, 20])
  assert found.saved == pytest.approx(1 - (4 * 10 + 2 * 10 + 20) / 160)
  assert {loss: (c.whole[-1], c.halved[-1]) for loss, c in found.choices.items()} == {
    "hinge": ("1", "1")
  } | dict.fromkeys(("lsgan", "nonsat", "sat"), ("3", "1"))
  # The other setting has 2: within 1 to 2.5, not within 1 to 1.2; sat was not trained again.
  same = {loss: choice.same for loss, choice in found.choices.items()}
  assert same == {"hinge": True, "lsgan": True, "nonsat": False, "sat": None}
  lsgan = found.choices["lsgan"]
  assert (lsgan.whole_value, lsgan.halved_value, lsgan.confirmed.count) == (1.0, 2.0, 3)


def test_the_command_prints_it(folder, capsys):
  assert command.main(["replay", f"--workdir={folder / 'search'}", "--factor=2"]) == 0
  printed = capsys.readouterr().out
  assert "one of 2 settings of each loss goes on from step 10, 20" in printed
  assert "hinge: hinge,sample=1 (2) by both" in printed
  assert (
    "lsgan,sample=3 (1, confirmed at 1 to 2.5) of all, lsgan,sample=1 (2) by halving" in printed
  )
  assert "50 % of the steps saved; the same best for 2 of 4 losses, another for 1" in printed


def test_what_cannot_be_replayed_is_refused_in_one_line(folder, tmp_path, capsys):
  plan = [write(tmp_path, "sat", i, 0, values) for i, values in enumerate(EARLY[:2])]
  plan += [write(tmp_path, "sat", 2, 0, [5.0], status="stopped at step 10")]
  write_json(tmp_path / "sweep.json", {"members": plan})
  with pytest.raises(UserError, match="1 of 3 runs .* not gone to their end \\(sat,sample=2"):
    replay.load(tmp_path, factor=2)
  assert command.main(["replay", f"--workdir={folder}", "--factor=2"]) == 2
  assert "is no sweep (it has no sweep.json)" in capsys.readouterr().err
