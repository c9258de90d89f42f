"""Writers beside the run folder: what they are told, once each, also after a resume."""

import collections
import sys
import types

import flax.linen as nn
import numpy as np
import pytest
from tensorboard_log import hparams_of, values

import gan
from experiments import ring, sweep
from gan import UserError
from gan.sweeps.run_archive import pack, unpack
from gan.training import distributed
from gan.training.config import Config
from gan.training.parts import identity
from gan.training.pictures import image_grid, pixels
from gan.training.plugin_entries import check
from gan.training.run_folder import EVALUATIONS, METRICS, read_metrics
from gan.training.writer import Entry, Session
from gan.training.writers import WRITERS, Writers, chosen, scalars

PICTURE = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
HPARAMS = {"loss": "nonsat", "b1": 0.5, "mirror": True, "seed": 3}


class Told:
  """A writer that keeps what it is told."""

  def __init__(self):
    self.scalars, self.images, self.hparams, self.calls = [], [], [], []

  def write_scalars(self, step, scalars):
    self.scalars.append((step, dict(scalars)))

  def write_images(self, step, images):
    self.images += [(step, name, array.shape, array.dtype) for name, array in images.items()]

  def write_hparams(self, hparams):
    self.hparams.append(dict(hparams))

  def flush(self):
    self.calls.append("flush")

  def close(self):
    self.calls.append("close")


class Failing(Told):
  def write_scalars(self, step, scalars):
    raise ConnectionError("no answer\nfrom there")


def opened(asked, folder, step=0, say=print):
  """What tells the chosen writers of a session."""
  writers = Writers(chosen(asked), say)
  writers.begin(Session(folder, step), HPARAMS)
  return writers


# What a run tells.


class G(nn.Module):
  @nn.compact
  def __call__(self, z):
    return nn.Dense(2)(z)


class D(nn.Module):
  @nn.compact
  def __call__(self, x):
    return nn.Dense(1)(x)[:, 0]


POINTS = np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32)


def test_a_run_tells_writers_its_records_once_also_where_it_goes_on(tmp_path):
  game = gan.Game(generator=gan.from_linen(G()), discriminator=gan.from_linen(D()))
  own, sessions, opens = Told(), [], []

  def opening(session):
    sessions.append(session)
    opens.append(Told())
    return opens[-1]

  def fit(steps):
    options = {"log_every": 1, "sample_every": 3, "checkpoint_every": 2, "batch_size": 8}
    gan.fit(
      game, POINTS, steps=steps, workdir=tmp_path, writers=[own, opening], say=print, **options
    )

  fit(3)
  fit(4)
  fit(4)  # it is at its end: no session
  assert sessions == [Session(tmp_path, 0), Session(tmp_path, 3)]
  records = read_metrics(tmp_path)
  assert [step for step, _ in own.scalars] == [record["step"] for record in records] == [1, 2, 3, 4]
  for (_, told), record in zip(own.scalars, records, strict=True):
    assert told["train/discriminator_loss"] == record["discriminator_loss"]
    assert told["progress/images"] == record["images"]
    assert not any(name.startswith("train/dataset") for name in told)
  assert own.scalars == opens[0].scalars + opens[1].scalars
  assert own.images == [(step, "samples", (1, 630, 600, 3), np.uint8) for step in (3, 4)]
  assert own.hparams[0]["batch_size"] == 8 and own.hparams[0]["steps"] == 3
  assert "log_every" not in own.hparams[0] and "game generator" in own.hparams[0]
  # A checkpoint never holds more than the log; what was passed is its owner's to close.
  assert "close" not in own.calls and own.calls[-1] == "flush"
  assert opens[0].calls == ["flush", "flush", "close"]


def test_writers_get_the_numbers_of_an_evaluation_and_not_its_facts():
  record = {"step": 4, "images": 64, "epoch": 0.5, "seconds": 1.0, "discriminator_steps": 4}
  facts = {"eval_samples": 50, "eval_seed": 1, "split": "train", "extractor": None, "dataset": "x"}
  told = scalars(record | facts | {"modes": 3}, EVALUATIONS)
  assert told == {"evaluation/modes": 3.0}
  assert scalars(record | {"d": 1}, METRICS) == {
    "train/d": 1.0,
    "progress/images": 64.0,
    "progress/epoch": 0.5,
    "progress/seconds": 1.0,
    "progress/discriminator_steps": 4.0,
  }


def test_pixels_for_writers_are_those_of_the_picture():
  images = np.full((4, 2, 2, 1), 7, np.uint8)
  picture = image_grid(images, 2, "title")
  found = pixels(picture)
  assert found.shape == (picture.height, picture.width, 3) and found.dtype == np.uint8
  assert (found == 7).any() and (found[0] == 255).all()


def test_only_the_first_process_opens_writers(tmp_path, monkeypatch):
  monkeypatch.setattr(distributed, "is_main_process", lambda: False)
  assert not opened([Told()], tmp_path)
  monkeypatch.setattr(distributed, "is_main_process", lambda: True)
  assert opened([Told()], tmp_path)


def test_writers_that_fail_are_named_once_and_the_others_go_on(tmp_path):
  said, whole = [], Told()

  def absent(session):
    raise OSError("no such host")

  writers = opened([Failing(), whole, absent], tmp_path, say=said.append)
  for step in (1, 2):
    writers.write_scalars(step, {"x": 1.0})
  assert whole.scalars == [(1, {"x": 1.0}), (2, {"x": 1.0})]
  end = ": it is told nothing more; the run goes on."
  assert said == [
    f"The writer absent failed (OSError: no such host){end}",
    f"The writer Failing failed (ConnectionError: no answer from there){end}",
  ]


def test_writers_are_no_part_of_what_a_run_is():
  assert identity(Config(log="tensorboard")) == identity(Config())


# TensorBoard, by its files.


def test_writers_to_tensorboard_go_on_without_doubled_steps(tmp_path):
  pytest.importorskip("tensorboardX", reason="of the extra tensorboard")
  for start, end in ((0, 5), (3, 6)):
    writers = opened("tensorboard", tmp_path, start)
    for step in range(start + 1, end + 1):
      writers.write_scalars(step, {"train/loss": 10.0 * start + step, "train/bad": float("inf")})
    writers.write_images(end, {"samples": PICTURE[:1]})
    writers.close()
  found = values(tmp_path, "train/loss")
  assert {step: [value.simple_value for value in each] for step, each in found.items()} == {
    **{step: [step] for step in (1, 2, 3)},
    **{step: [30.0 + step] for step in (4, 5, 6)},
  }
  assert values(tmp_path, "train/bad")[6][0].simple_value == float("inf")
  pictures = values(tmp_path, "samples")
  assert list(pictures) == [6]  # that of step 5 was made again
  assert (pictures[6][0].image.height, pictures[6][0].image.width) == (3, 4)
  assert hparams_of(tmp_path) == HPARAMS


def test_writers_to_tensorboard_name_each_of_several_pictures(tmp_path):
  pytest.importorskip("tensorboardX", reason="of the extra tensorboard")
  writers = opened("tensorboard", tmp_path)
  writers.write_images(1, {"rows": PICTURE})
  writers.close()
  assert set(values(tmp_path, "rows/0")) == set(values(tmp_path, "rows/1")) == {1}


def test_what_writers_to_tensorboard_were_told_is_on_disk_after_flush(tmp_path):
  pytest.importorskip("tensorboardX", reason="of the extra tensorboard")
  writers = opened("tensorboard", tmp_path)
  for step in (1, 2):
    writers.write_scalars(step, {"x": 1.0})
  writers.flush()
  assert set(values(tmp_path, "x")) == {1, 2}
  writers.close()


# W&B and MLflow, by stand-ins of their packages.


class WandbRun:
  def __init__(self, log, **options):
    self.options, self.config, self.rows, self.ended = options, {}, [], False
    self.config = types.SimpleNamespace(update=lambda given, **how: log.append((given, how)))

  def log(self, row, step):
    self.rows.append((step, row))

  def finish(self):
    self.ended = True


def test_writers_to_wandb_keep_their_run(tmp_path, monkeypatch):
  runs, configs = [], []

  def init(**options):
    runs.append(WandbRun(configs, **options))
    return runs[-1]

  fake = types.SimpleNamespace(init=init, Image=lambda array: ("image", array.shape))
  monkeypatch.setitem(sys.modules, "wandb", fake)
  monkeypatch.delenv("WANDB_PROJECT", raising=False)
  for start in (0, 2):
    writers = opened("wandb", tmp_path / "run" if start else folder_of(tmp_path), start)
    writers.write_scalars(start + 1, {"train/loss": 0.5})
    writers.write_images(start + 1, {"samples": PICTURE})
    writers.close()
  first, second = runs
  assert first.options["id"] == second.options["id"] and len(first.options["id"]) == 8
  assert second.options["resume"] == "allow" and second.options["reinit"] == "create_new"
  assert (second.options["project"], second.options["name"]) == ("gan", "run")
  assert second.rows == [
    (3, {"train/loss": 0.5}),
    (3, {"samples": [("image", (3, 4, 3)), ("image", (3, 4, 3))]}),
  ]
  assert configs == 2 * [(HPARAMS, {"allow_val_change": True})]
  assert first.ended and second.ended


def folder_of(tmp_path):
  (tmp_path / "run").mkdir()
  return tmp_path / "run"


class MlflowClient:
  """Keeps runs as MLflow does: each point of a metric that is logged, and parameters for good."""

  runs, experiments = {}, {}

  def get_experiment_by_name(self, name):
    found = self.experiments.get(name)
    return found and types.SimpleNamespace(experiment_id=found)

  def create_experiment(self, name):
    self.experiments[name] = "7"
    return "7"

  def create_run(self, experiment, run_name):
    called = f"{experiment}-{run_name}"
    self.runs[called] = {"points": [], "params": {}, "files": [], "status": "RUNNING"}
    return types.SimpleNamespace(info=types.SimpleNamespace(run_id=called))

  def update_run(self, called, status):
    self.runs[called]["status"] = status

  def set_terminated(self, called):
    self.runs[called]["status"] = "FINISHED"

  def get_run(self, called):
    run = self.runs[called]
    metrics = {point.key: point.value for point in run["points"]}
    return types.SimpleNamespace(
      data=types.SimpleNamespace(params=dict(run["params"]), metrics=metrics)
    )

  def get_metric_history(self, called, name):
    return [point for point in self.runs[called]["points"] if point.key == name]

  def log_batch(self, called, metrics=(), params=()):
    self.runs[called]["points"] += metrics
    for param in params:
      assert self.runs[called]["params"].setdefault(param.key, param.value) == param.value

  def log_image(self, called, image, artifact_file):
    self.runs[called]["files"].append((artifact_file, image.shape))


def test_writers_to_mlflow_keep_their_run_and_log_no_step_twice(tmp_path, monkeypatch):
  Point = collections.namedtuple("Point", "key value timestamp step")
  Param = collections.namedtuple("Param", "key value")
  fakes = {
    "mlflow": types.SimpleNamespace(MlflowClient=MlflowClient),
    "mlflow.entities": types.SimpleNamespace(Metric=Point, Param=Param),
  }
  for name, fake in fakes.items():
    monkeypatch.setitem(sys.modules, name, fake)
  monkeypatch.setattr(MlflowClient, "runs", {})
  monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
  folder = folder_of(tmp_path)
  for start, end in ((0, 5), (3, 6)):
    writers = opened("mlflow", folder, start)
    assert MlflowClient.runs["7-run"]["status"] == "RUNNING"
    for step in range(start + 1, end + 1):
      writers.write_scalars(step, {"train/loss": 1.0 * step})
    writers.write_scalars(5, {"evaluation/late": 2.0 + start})  # killed before it, say
    writers.write_images(5, {"samples": PICTURE[:1]})
    writers.close()
  assert list(MlflowClient.runs) == ["7-run"]
  run = MlflowClient.runs["7-run"]
  steps = [(point.step, point.value) for point in run["points"] if point.key == "train/loss"]
  assert steps == [(step, step) for step in range(1, 7)]
  assert [point.value for point in run["points"] if point.key == "evaluation/late"] == [2.0]
  assert run["files"] == 2 * [("samples/step_00000005_0.png", (3, 4, 3))]
  assert run["params"] == {"loss": "nonsat", "b1": "0.5", "mirror": "True", "seed": "3"}
  assert run["status"] == "FINISHED"


# What cannot be.


def test_unknown_writers_are_refused_with_the_list():
  with pytest.raises(
    UserError, match="'nosuch' is unknown: choose from mlflow, tensorboard, wandb"
  ):
    chosen("nosuch")
  with pytest.raises(UserError, match="have a name twice"):
    chosen("wandb, wandb")
  for wrong in (3, object(), [None]):
    with pytest.raises(UserError, match="must be one of mlflow, tensorboard, wandb, a function"):
      chosen(wrong)
  assert chosen("") == chosen(()) == ()


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_writers_whose_package_is_missing_name_the_extra(name, monkeypatch):
  monkeypatch.setitem(sys.modules, WRITERS[name].package, None)
  with pytest.raises(UserError) as error:
    chosen(name)
  package = WRITERS[name].package
  fix = f"pip install 'gan-jax[{name}]', or leave it out"
  assert str(error.value) == f"the writer {name} needs {package}: {fix}"


def test_a_command_refuses_writers_before_it_makes_a_folder(tmp_path, capsys, monkeypatch):
  monkeypatch.setitem(sys.modules, "wandb", None)
  for log, line in (("nosuch", "writer 'nosuch' is unknown"), ("wandb", "gan-jax[wandb]")):
    assert ring.main(["ring", f"--log={log}", f"--workdir={tmp_path / 'run'}"]) == 2
    error = capsys.readouterr().err
    assert line in error and len(error.splitlines()) == 1
  assert not (tmp_path / "run").exists()


def test_a_folder_that_writers_to_tensorboard_cannot_write_is_refused(tmp_path):
  pytest.importorskip("tensorboardX", reason="of the extra tensorboard")
  (tmp_path / "tensorboard").write_text("a file")
  with pytest.raises(UserError, match="tensorboard cannot be written to"):
    opened("tensorboard", tmp_path)


def test_a_plugin_may_add_writers(monkeypatch):
  before = dict(WRITERS)
  check("mine", "WRITERS", before, before | {"lines": Entry(lambda session: Told())})
  with pytest.raises(UserError, match="whose make must take \\(session\\)"):
    check("mine", "WRITERS", before, before | {"lines": Entry(lambda: Told())})
  monkeypatch.setitem(WRITERS, "lines", Entry(lambda session: Told()))
  (found,) = chosen("lines")
  assert isinstance(found.make(None), Told)


def test_each_run_of_a_sweep_has_writers_of_its_own(tmp_path, monkeypatch):
  opens = {}

  def opening(session):
    opens[session.folder.name] = Told()
    return opens[session.folder.name]

  monkeypatch.setitem(WRITERS, "told", Entry(opening))
  flags = ["--experiment=ring", "--losses=nonsat", "--grid=b1=0,0.5", "--seeds=1", "--steps=2"]
  quick = ["--log=told", "--log_every=1", "--eval_every=2", "--eval_samples=50", "--width=8"]
  assert sweep.main(["sweep", *flags, *quick, "--batch_size=16", f"--workdir={tmp_path}"]) == 0
  assert sorted(opens) == ["nonsat,b1=0.0,seed=0", "nonsat,b1=0.5,seed=0"]
  for name, told in opens.items():
    records = read_metrics(tmp_path / "members" / name)
    losses = [numbers["train/generator_loss"] for step, numbers in told.scalars[:2]]
    assert losses == [record["generator_loss"] for record in records]
    assert told.scalars[2][0] == 2 and "evaluation/modes" in told.scalars[2][1]
    assert told.calls[-1] == "close"
  hparams = [each.hparams[0] for each in opens.values()]
  differing = {name for name in hparams[0] if hparams[0][name] != hparams[1][name]}
  assert differing == {"b1"} and {each["b1"] for each in hparams} == {0.0, 0.5}


def test_links_that_writers_leave_in_a_run_folder_are_not_packed(tmp_path):
  log = folder_of(tmp_path) / "log.txt"
  log.write_text("a line")
  (tmp_path / "run" / "link.txt").symlink_to(log.absolute())  # as wandb has some
  unpack(pack(tmp_path, ["run"]), tmp_path / "there")
  assert [path.name for path in (tmp_path / "there" / "run").iterdir()] == ["log.txt"]
