"""A search in rounds, by runs that are written and not trained."""

import math

import pytest
from fake_studies import write_run

from gan.errors import UserError
from gan.sweeps import tpe
from gan.sweeps.sequential import Request, search
from gan.sweeps.spaces import space_of
from gan.training.config import Config
from gan.training.options import with_values
from gan.training.run_folder import CONFIG, RUNS_FOLDER, write_json

pytest.importorskip("optuna", reason="needs the extra optuna")


def request_of(losses, samples, space="b1=0:0.9"):
  return Request(
    losses,
    samples,
    space_of(space),
    lambda point: with_values(Config(model="mlp"), point),
    None,
    seed=5,
  )


class Trained:
  """Writes what trained runs leave; diverges at high b1, and is interrupted in a round."""

  def __init__(self, folder, interrupted_at=math.inf):
    self.folder, self.rounds, self.interrupted_at = folder, [], interrupted_at

  def __call__(self, trials):
    self.rounds.append([trial.name for trial in trials])
    self.folder.mkdir(exist_ok=True)
    write_json(self.folder / "sweep.json", {"members": [{"name": t.name} for t in trials]})
    return {trial.name: self._train(trial) for trial in trials}

  def _train(self, trial):
    run, b1 = self.folder / RUNS_FOLDER / trial.name, trial.config.b1
    status = "finished" if b1 <= 0.6 else "diverged at step 30"
    if len(self.rounds) > self.interrupted_at:
      return "interrupted"
    if not (run / CONFIG).exists():
      values = {"frechet_distance": [9.0, 1 + b1]}
      write_run(run, trial.config.loss, 5, values=values, every=20, status=status, pictures=False)
    return status


def told(folder, loss, space="b1=0:0.9"):
  with tpe.opened(folder, [loss], space_of(space), Config, "frechet_distance", 5) as searches:
    return [(trial.params["b1"], trial.value) for trial in searches._trials(loss)]


def test_a_search_asks_one_sample_of_each_loss_at_a_time_and_goes_on_after_a_kill(tmp_path):
  train = Trained(tmp_path / "whole")
  statuses = search(train.folder, request_of(["sat", "wgan+wgan_gp"], 5), train)
  names = [f"{loss},sample={i},seed=5" for loss in ("sat", "wgan+wgan_gp") for i in range(5)]
  assert sorted(statuses) == sorted(names) == sorted(train.rounds[-1])
  # The first samples tell the metric; then a round for each sample.
  assert [len(names) for names in train.rounds] == [2, 2, 4, 6, 8, 10]
  found = told(train.folder, "sat")
  assert [value for _, value in found] == [1 + b1 if b1 <= 0.6 else math.inf for b1, _ in found]
  assert math.inf in dict(found).values()

  killed = tmp_path / "killed"
  for interrupted_at in (0, 3):  # before there is a metric, and in a round
    part = search(killed, request_of(["sat"], 5), Trained(killed, interrupted_at))
    assert "interrupted" in part.values()
  assert "finished" in search(killed, request_of(["sat"], 3), Trained(killed)).values()
  train = Trained(killed)
  search(killed, request_of(["sat", "wgan+wgan_gp"], 5), train)
  assert told(killed, "sat") == found and len(train.rounds) == 5
  assert told(killed, "wgan+wgan_gp") == told(tmp_path / "whole", "wgan+wgan_gp")
  # All is told; the claim of the sweep is checked all the same.
  train = Trained(killed)
  assert len(search(killed, request_of(["sat"], 5), train)) == 5 and len(train.rounds) == 1


def test_a_point_that_comes_again_is_not_run_again(tmp_path):
  train = Trained(tmp_path)
  statuses = search(tmp_path, request_of(["sat"], 5, "b1=0.5|0.25"), train)
  assert len(statuses) == 2  # 0.5 is the value as it stands
  found = told(tmp_path, "sat", "b1=0.5|0.25")
  assert set(found) == {(0.5, 1.5), (0.25, 1.25)} and len(found) == 5


def test_a_search_without_a_metric_is_refused(tmp_path):
  train = Trained(tmp_path)
  with pytest.raises(UserError, match="`metric=precision` was not evaluated"):
    search(tmp_path, request_of(["sat"], 3)._replace(metric="precision"), train)
  assert len(train.rounds) == 1 and not (tmp_path / tpe.FILE).exists()
