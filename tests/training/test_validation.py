"""What a config cannot be, and flags that go through a whole command."""

import dataclasses

import jax
import numpy as np
import pytest

from experiments import ring, sweep
from experiments.cli.command import Command, as_flags
from gan import schedules
from gan.errors import UserError
from gan.sweeps.search import make_trials, sweep_identity
from gan.training import restore
from gan.training.config import Config
from gan.training.run_folder import read_config, read_metrics
from gan.training.validation import validate


@pytest.mark.parametrize(
  ("values", "message"),
  [
    (
      {"schedule": "goodfellow2014", "schedules": "b1=linear:0"},
      "--schedules and --schedule=goodfellow2014 exclude each other: give one",
    ),
    ({"schedule_images": 100}, "--schedule_images is the length of --schedules: give these too"),
    ({"schedules": "b1=linear:1"}, "--schedules: b1 would leave its range"),
    ({"schedules": "real_label=linear:2"}, "--schedules: real_label would leave its range"),
    (
      {"schedules": "penalty_weight=linear:-1", "penalty": "r1"},
      "--schedules: penalty_weight would leave its range",
    ),
    (
      {"packing": 2, "batch_size": 5},
      "--batch_size=5 is not divisible by --packing=2: use --batch_size=4",
    ),
    (
      {"accumulate": 4, "batch_size": 3},
      "--batch_size=3 is not divisible by --accumulate=4: use --batch_size=4",
    ),
    (
      {"packing": 2, "accumulate": 3, "generator_batch_size": 20, "batch_size": 12},
      "--generator_batch_size=20 is not divisible by --accumulate=3 times --packing=2: use "
      "--generator_batch_size=18",
    ),
    ({"packing": 2, "conditional": True}, "--packing joins examples of any class"),
    (
      {"generator_batch_size": 32, "shared_latents": True},
      "leave out --generator_batch_size or --shared_latents",
    ),
    (
      {"schedules": "momentum=exponential:0.5", "optimizer": "sgd"},
      "--schedules: momentum would leave its range",
    ),
    ({"schedules": "b1=exponential:0"}, "schedules: 'b1=exponential:0' must have END above 0"),
    ({"schedules": ";;;"}, "schedules: ';;;' names no schedule"),
    ({"options": ";;;"}, "--options=;;; names no option"),
    ({"regularizers": ","}, "--regularizers=, names none: choose from acgan, "),
    ({"regularizers": "lecam,lecam"}, "--regularizers=lecam,lecam has a name twice"),
    ({"augment": ", ,"}, "--augment=, , names none: choose from ada, "),
    ({"regularizers": "nosuch"}, "--regularizers=nosuch is unknown: choose from acgan, "),
    ({"regularizers": "lecam", "lecam_weight": 0.0}, "--lecam_weight=0 turns off what --regular"),
    ({"lecam_decay": 0.9}, "--lecam_decay has no meaning for --regularizers=; it is for lecam"),
    ({"lecam_weight": 0.3, "lecam_decay": 1.0}, "--lecam_decay=1.0 must be below 1"),
    (
      {"conditioning": "acgan"},
      "`conditioning=acgan` is not one of `model=dcgan`: choose from concat, or from the models "
      "with it: resnet, biggan, sagan",
    ),
    (
      {"model": "resnet", "conditioning": "acgan"},
      "--conditioning=acgan has D return class_logits, which nothing trains: add --reg",
    ),
    (
      {"model": "resnet", "conditional": True, "regularizers": "acgan"},
      "`model=resnet` does not return: choose from resnet with `conditioning=acgan`, biggan with ",
    ),
    ({"fake_labels": "uniform"}, "--fake_labels is of --conditional: give that or"),
    ({"fake_labels": "data"}, "--fake_labels is of --conditional: give that or"),
    ({"fake_labels": "any"}, "--fake_labels=any is unknown: choose from batch, data, uniform"),
    ({"augment": "nosuch"}, "--augment=nosuch is unknown: choose from ada, "),
    ({"augment": "color"}, "--augment=color is unknown: write diffaugment:color or ada:color"),
    (
      {"augment": "mirror:x"},
      "--augment=mirror:x: nothing belongs behind the colon of mirror, and",
    ),
    (
      {"augment": "mirror,diffaugment:"},
      "--augment=mirror,diffaugment: has nothing behind the colon of diffaugment: name some of "
      "color, translation, cutout, or leave out the colon",
    ),
    ({"augment": "mirror:"}, "has nothing behind the colon of mirror: leave out the colon"),
    ({"augment": "mirror,mirror"}, "--augment=mirror,mirror has mirror twice: give each once"),
    (
      {"augment": "diffaugment:color,mirorr"},
      "--augment=diffaugment:color,mirorr: mirorr is none of those behind the colon of "
      "diffaugment: color, translation, cutout; or choose from ada, ",
    ),
    (
      {"augment": "diffaugment:color,color"},
      "policy of diffaugment 'color' is there twice: give it once",
    ),
    ({"augment_strength": 0.5}, "--augment_strength has no meaning for --augment=; it is for"),
    ({"augment": "diffaugment", "augment_strength": 1.5}, "must be at most 1"),
    ({"augment": "ada"}, "--augment=ada needs --augment_strength, the probability of each of its"),
    ({"ema_ramp": 0.1}, "--ema_ramp bounds --ema_half_life: give that too, or leave it out"),
  ],
)
def test_what_cannot_be_is_one_line(values, message):
  with pytest.raises(UserError) as refusal:
    validate(Config(**values))
  assert message in str(refusal.value) and "\n" not in str(refusal.value)


# Hyper-parameters that nothing reads, and what has them read.
IDLE = {
  "momentum": {"optimizer": "sgd"},
  "penalty_weight": {"penalty": "r1"},
  "weight_clip": {"loss": "wgan"},
  "instance_noise": {"instance_noise": 0.1},
  "lecam_weight": {"regularizers": "lecam"},
  "ema_half_life": {"ema_half_life": 100.0},
}


@pytest.mark.parametrize("name", IDLE)
def test_a_number_is_scheduled_exactly_where_a_step_reads_it(name):
  spec = f"{name}=linear:0.5"
  validate(Config(**IDLE[name], schedules=spec))
  with pytest.raises(UserError, match=f"'{name}' is no number that a step of this run reads"):
    validate(Config(schedules=spec))


def test_a_decay_that_a_half_life_replaces_is_no_number_of_the_step():
  validate(Config(schedules="ema_decay=linear:0.5"))
  with pytest.raises(UserError, match="'ema_decay' is no number that a step of this run reads"):
    validate(Config(schedules="ema_decay=linear:0.5", ema_half_life=100.0))


def test_ranges_of_schedules_are_those_of_the_fields():
  bounds = {
    field.name: (field.metadata["below"], field.metadata["maximum"])
    for field in dataclasses.fields(Config)
    if field.metadata["below"] or field.metadata["maximum"]
  }
  del bounds["lecam_decay"]  # it cannot be scheduled
  ends = {name: end for name, (_, end, _) in schedules.RANGES.items()}
  assert bounds.keys() == ends.keys()
  for name, (below, most) in bounds.items():
    assert ends[name] == below or most < ends[name] < most + 1e-5


SMALL = ["--width=8", "--batch_size=8", "--eval_every=0", "--log_every=1", "--sample_every=100"]
SMALL += ["--latent_dim=4", "--discriminator_steps=1", "--checkpoint_every=2"]
# Flags, and those that a run of four steps at once needs beside.
THROUGH = {
  "generator_batch_size": (["--generator_batch_size=16"], []),
  "accumulate": (["--accumulate=2"], []),
  "ema_ramp": (["--ema_half_life=20", "--ema_ramp=0.5", "--ema_start=2"], []),
  "regularizers": (["--regularizers=lecam", "--lecam_weight=0.5", "--lecam_decay=0.9"], []),
  "schedules": (
    ["--schedules=generator_learning_rate=linear:0;b1=cosine:0.9"],
    ["--schedule_images=16"],
  ),
}


def train(folder, *flags) -> dict:
  """The state that a command reaches, by the names of its arrays."""
  assert ring.main(["ring", f"--workdir={folder}", *SMALL, *flags]) == 0
  leaves, _ = jax.tree.flatten_with_path(restore.load(folder).state)
  return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


def records(folder):
  return [
    {name: value for name, value in record.items() if name != "seconds"}
    for record in read_metrics(folder)
  ]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
  return train(tmp_path_factory.mktemp("plain"), "--steps=4")


@pytest.mark.parametrize("name", THROUGH)
def test_flags_go_through_a_command_and_its_resumption(tmp_path, plain, name):
  flags, at_once = THROUGH[name]
  train(tmp_path / "a", *flags, "--steps=2")
  past = records(tmp_path / "a")
  resumed = train(tmp_path / "a", *flags, "--steps=4")
  straight = train(tmp_path / "b", *flags, *at_once, "--steps=4")
  assert records(tmp_path / "a")[:2] == past and records(tmp_path / "a") == records(tmp_path / "b")
  assert resumed.keys() == straight.keys()
  for leaf in straight:
    np.testing.assert_array_equal(resumed[leaf], straight[leaf], err_msg=leaf)
  moved = [leaf for leaf in plain if "ema_params" in leaf]
  if name == "accumulate":  # the mean of the parts is that of the whole
    for leaf in moved:
      np.testing.assert_allclose(straight[leaf], plain[leaf], rtol=1e-4, atol=1e-6)
  else:
    assert any(np.abs(straight[leaf] - plain[leaf]).max() > 1e-6 for leaf in moved)
  identity_fields = read_config(tmp_path / "a")["determining"]
  for flag in (*flags, *at_once):
    field, _, value = flag[2:].partition("=")
    assert str(identity_fields[field]) in (value, f"{value}.0") or float(
      identity_fields[field]
    ) == float(value)


@pytest.mark.parametrize("values", [(1, 2), (2, 1)])
def test_a_sweep_over_a_field_that_earlier_versions_lacked_is_known_by_its_values(values):
  points = [{"accumulate": value} for value in values]
  trials = make_trials(["nonsat"], [0], points, lambda point: Config(**point), searched=False)
  assert sweep_identity(trials, {}, "", "")["determining"]["accumulate"] == list(values)


def test_such_a_sweep_trains_and_goes_on(tmp_path):
  flags = [f"--workdir={tmp_path}", *SMALL, "--losses=nonsat", "--seeds=1", "--experiment=ring"]
  for steps in (2, 3):
    assert sweep.main(["sweep", *flags, "--grid=accumulate=2,1", f"--steps={steps}"]) == 0
  for parts in (1, 2):
    folder = tmp_path / "members" / f"nonsat,accumulate={parts},seed=0"
    assert [record["step"] for record in records(folder)] == [1, 2, 3]


def test_a_command_shows_its_own_flags_where_a_message_names_arguments():
  command = Command("doc")
  command.add(int, "steps", 3, "how many", "training")
  message = "give `steps=4` or `steps`, not `nosuch=1` or `steps of 3`"
  shown = as_flags(message, command.values)
  assert shown == "give --steps=4 or --steps, not `nosuch=1` or `steps of 3`"


def test_a_message_of_a_model_names_flags_in_a_command_alone(tmp_path, capsys):
  assert ring.main(["ring", f"--workdir={tmp_path}", "--model=mlp"]) == 2
  assert "--model=mlp makes images, but the data are points: use --model=points" in (
    capsys.readouterr().err
  )
