"""Config: what can be chosen, what is refused, and what the result of a run depends on."""

import dataclasses
import json
import math

import pytest

from experiments import mnist
from experiments.cli import common
from gan.errors import UserError
from gan.losses import LOSSES, of_logits
from gan.optimizers import OPTIMIZERS
from gan.training.build import hyperparameters
from gan.training.config import Config, field_types
from gan.training.parts import fingerprint, identity, weight_clip
from gan.training.presets import PRESETS
from gan.training.validation import validate

FIELDS = dataclasses.fields(Config)
GROUPS = {"data", "model", "loss", "training", "devices", "records"}


def parsed(*argv, defaults=mnist.DEFAULTS):
  command = common.ConfigCommand("doc")
  command.add_config(defaults)
  command.values(["command", *argv])
  return command.config(defaults)


def refused(**values):
  """The message with which a config is refused."""
  with pytest.raises(UserError) as error:
    validate(Config(**values))
  assert "\n" not in str(error.value)
  return str(error.value)


def test_the_defaults_are_valid():
  validate(Config())


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_valid(name):
  validate(common.starting_point(mnist.DEFAULTS, name, PRESETS[name]["model"]))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_values_chosen_for_one_optimiser_do_not_forbid_another(optimizer):
  command = common.ConfigCommand("")
  command.add_config(mnist.DEFAULTS)
  command.values(["mnist", f"--optimizer={optimizer}"])
  validate(command.config(mnist.DEFAULTS))


def test_a_rate_that_was_given_and_is_not_read_is_still_refused():
  command = common.ConfigCommand("")
  command.add_config(mnist.DEFAULTS)
  command.values(["mnist", "--optimizer=sgd", "--b1=0.3"])
  with pytest.raises(UserError, match="--b1 has no meaning"):
    validate(command.config(mnist.DEFAULTS))


POSITIVE = [field.name for field in FIELDS if field.metadata["positive"]]
BOUNDED = [field.name for field in FIELDS if field.metadata["minimum"] is not None]
CHOSEN = [field.name for field in FIELDS if field.metadata["choices"]]


@pytest.mark.parametrize("name", POSITIVE)
@pytest.mark.parametrize("value", [0, -1])
def test_what_must_be_positive_is_refused_by_the_name_of_its_flag(name, value):
  assert f"--{name}={value} must be above 0" in refused(**{name: value})


@pytest.mark.parametrize("name", BOUNDED)
def test_what_has_a_least_value_is_refused_below_it(name):
  minimum = next(field for field in FIELDS if field.name == name).metadata["minimum"]
  assert f"--{name}={minimum - 1} must be at least {minimum}" in refused(**{name: minimum - 1})


@pytest.mark.parametrize("name", CHOSEN)
def test_an_unknown_choice_is_refused_with_the_list(name):
  message = refused(**{name: "nosuch"})
  assert f"--{name}=nosuch is unknown" in message
  field = next(field for field in FIELDS if field.name == name)
  assert all(choice in message for choice in field.metadata["choices"])


@pytest.mark.parametrize("name", ["b1", "b2", "momentum", "ema_decay"])
@pytest.mark.parametrize("value", [1.0, 1.5])
def test_a_decay_of_one_is_refused(name, value):
  assert f"--{name}={value} must be below 1" in refused(**{name: value})


@pytest.mark.parametrize(
  "name", [field.name for field in FIELDS if field_types()[field.name] is float]
)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_that_is_not_finite_is_refused(name, value):
  assert f"--{name}={value}" in refused(**{name: value})


def test_a_label_above_one_is_refused():
  assert "--real_label=1.5" in refused(real_label=1.5)


@pytest.mark.parametrize("targets", ["", "0,1", "0,1,1,1", "a,b,c", "0;1;1"])
def test_targets_of_lsgan_that_are_not_three_numbers_are_refused(targets):
  assert f"--lsgan_targets={targets}" in refused(loss="lsgan", lsgan_targets=targets)


OPTIONS = {"real_label": 0.9, "lsgan_targets": "-1,1,0", "fgan_generator": "nonsat"}


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("loss", of_logits())
def test_an_option_is_refused_exactly_where_the_loss_does_not_take_it(loss, name):
  values = {"loss": loss, name: OPTIONS[name]}
  if name in LOSSES[loss].options:
    validate(Config(**values))
  else:
    message = refused(**values)
    assert f"--{name} has no meaning for --loss={loss}" in message
    assert all(other in message for other, entry in LOSSES.items() if name in entry.options)


RATES = {"b1": 0.9, "b2": 0.99, "momentum": 0.5}


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_rate_is_refused_exactly_where_the_optimizer_does_not_read_it(optimizer, name):
  values = {"optimizer": optimizer, name: RATES[name]}
  readers = [other for other, entry in OPTIMIZERS.items() if name in entry.options]
  if optimizer in readers:
    validate(Config(**values))
  else:
    message = refused(**values)
    assert f"--{name} has no meaning for --optimizer={optimizer}" in message
    assert ", ".join(readers) in message
    assert f"at its default, {getattr(Config(), name)}" in message


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_a_rate_that_either_player_reads_is_accepted(player):
  validate(Config(**{f"{player}_optimizer": "sgd", **RATES}))


def test_a_rate_that_neither_player_reads_is_refused_with_both_optimizers():
  both = {"generator_optimizer": "sgd", "discriminator_optimizer": "rmsprop"}
  assert "--b1 has no meaning for --optimizer=rmsprop, sgd; it is for adam" in refused(**both, b1=0)


def test_a_rule_of_one_discriminator_update_refuses_more():
  message = refused(update_rule="simultaneous", discriminator_steps=2)
  assert "`update_rule=simultaneous`" in message and "`discriminator_steps`" in message
  validate(Config(update_rule="alternating", discriminator_steps=2))


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_every_field_has_a_help_a_group_and_a_flag_of_its_type(field):
  assert field.metadata["group"] in GROUPS
  assert len(field.metadata["help"]) >= 10
  command = common.ConfigCommand("doc")
  command.add_config(Config())
  flag = command.values[field.name]
  assert field.metadata["help"] in flag.help and flag.default == field.default
  example = {int: "3", float: "0.25", bool: "true", str: "word"}[field_types()[field.name]]
  if field.metadata["choices"]:
    example = sorted(field.metadata["choices"])[-1]
  if field.name == "options":
    example = "pooling=mean"  # of the form that it has
  value = getattr(parsed(f"--{field.name}={example}"), field.name)
  assert type(value) is field_types()[field.name]
  assert str(value).lower() == example


def test_determining_leaves_out_exactly_what_may_change_in_the_middle_of_a_run(unchecked):
  # Options of plugins are known by their own names.
  added = [f.name for f in FIELDS if f.metadata["added"] and f.name != "options"]
  every = dataclasses.replace(Config(), **dict.fromkeys(added, "other"))
  left_out = {field.name for field in FIELDS} - {"options"} - set(identity(every))
  resumed = {"steps", "parallel", "data_on", "steps_per_call", "checkpoint_every"}
  placed = {"extractor", "init_from"}  # a file may be moved; its digest stands there
  assert left_out == resumed | placed | {"log"}


def test_fields_that_earlier_versions_lacked_are_left_out_where_they_mean_as_before():
  added = {field.name for field in FIELDS if field.metadata["added"]}
  assert "schedules" in added and not added & set(identity(Config()))
  assert identity(Config(accumulate=2))["accumulate"] == 2
  # The weight of LeCam is as an earlier config.json has it: 0 where the term is off.
  assert identity(Config())["lecam_weight"] == 0.0
  assert identity(Config(lecam_weight=0.5))["lecam_weight"] == 0.5


def test_the_fingerprint_depends_on_what_determines_and_on_nothing_else():
  def mark(**values):
    return fingerprint(identity(Config(**values)))

  assert mark(steps=7, parallel="none", steps_per_call=3, checkpoint_every=9) == mark()
  assert len({mark(), mark(seed=1), mark(loss="sat"), mark(width=8), mark(log_every=7)}) == 5
  assert len(mark()) == 12


def test_a_config_survives_json():
  config = Config(width=8, weight_clip=0.5, conditional=True)
  assert Config(**json.loads(json.dumps(dataclasses.asdict(config)))) == config


def test_a_flag_goes_before_the_preset_and_the_preset_before_the_default():
  assert parsed().batch_size == mnist.DEFAULTS.batch_size != 100
  assert parsed("--preset=goodfellow2014").batch_size == 100
  both = parsed("--batch_size=8", "--preset=goodfellow2014")
  assert both.batch_size == 8 and both.optimizer == "sgd"
  assert both.log_every == mnist.DEFAULTS.log_every


def test_a_flag_given_with_the_default_value_goes_before_the_preset():
  default = mnist.DEFAULTS.batch_size
  assert parsed("--preset=goodfellow2014", f"--batch_size={default}").batch_size == default


def test_flags_of_two_commands_do_not_meet():
  assert parsed("--steps=3").steps == 3
  assert parsed().steps == mnist.DEFAULTS.steps


@pytest.mark.parametrize(
  "values, clip",
  [({"loss": "wgan"}, 0.01), ({}, 0.0), ({"loss": "wgan", "weight_clip": 0.0}, 0.0)]
  + [({"weight_clip": 0.3}, 0.3)],
)
def test_weights_are_clipped_for_wgan_unless_told_otherwise(values, clip):
  assert weight_clip(Config(**values)) == clip


def test_every_number_of_a_run_reaches_the_state():
  values = {"b1": 0.25, "momentum": 0.125, "instance_noise": 0.5, "ema_decay": 0.75}
  hyper = hyperparameters(Config(**values))
  assert {name: float(hyper.get(name)) for name in values} == values
