"""What commands that train share: one flag for each field of Config, the compilation cache."""

import dataclasses
import functools
import os
import pathlib
import shlex
import sys
from collections.abc import Collection, Container, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jax

from experiments.cli import processes
from experiments.cli.command import (
  DIVERGED,
  INTERRUPTED,
  OK,
  PATH,
  Command,
  notify,
  program,
  refuse_unread,
  typed,
)
from gan.augment import AUGMENTATIONS
from gan.errors import UserError
from gan.regularizers import REGULARIZERS
from gan.system.cache import cache_folder
from gan.system.compilation import keep_freed_memory
from gan.system.progress import say
from gan.training.aliases import earlier_names
from gan.training.config import Config, field_types
from gan.training.interrupts import interrupts, stop_here
from gan.training.options import FIELDS, fields, own_options, read_by, with_values
from gan.training.parts import fingerprint, identity, made
from gan.training.presets import PRESETS
from gan.training.validation import unread, validate
from gan.training.writers import WRITERS, chosen

# Fields that an experiment chooses for its own model; another model starts from Config's.
TUNED = (
  "width",
  "discriminator_norm",
  "discriminator_hidden",
  "latent_dim",
  "generator_learning_rate",
  "discriminator_learning_rate",
  "b1",
  "b2",
  "ema_decay",
)
# Fields that most people set, which --help lists; --helpfull lists the others too.
USUAL = (
  "dataset",
  "image_size",
  "mirror",
  "model",
  "width",
  "conditional",
  "latent_dim",
  "precision",
  "loss",
  "penalty",
  "penalty_weight",
  "augment",
  "regularizers",
  "update_rule",
  "discriminator_steps",
  "optimizer",
  "generator_learning_rate",
  "discriminator_learning_rate",
  "batch_size",
  "ema_decay",
  "steps",
  "seed",
  "sample_every",
  "eval_every",
  "checkpoint_every",
)
LISTED = {"regularizers": REGULARIZERS, "log": WRITERS}  # fields of several names by commas
WITHOUT_FILES = ("digits", "grid", "ring")  # data sets that are drawn, or come with a package


class ConfigCommand(Command):
  """A command line with a flag for each field of Config."""

  def add_config(self, defaults: Config | None, without: Sequence[str] = ()) -> None:
    """Defines a flag for each field of Config, and --preset.

    Args:
      defaults: what the help shows; None where that depends on other flags.
      without: fields that have no flag.
    """
    kinds, self._packaged = field_types(), frozenset(own_options())
    self._names = [name for name in FIELDS if name not in without]
    for name in self._names:
      default = None if defaults is None else getattr(defaults, name)
      group, text = FIELDS[name].metadata["group"], FIELDS[name].metadata["help"]
      choices = LISTED.get(name, FIELDS[name].metadata["choices"])
      self.add(kinds[name], name, default, text, group, choices, rare=name not in USUAL)
    self.add(str, "preset", None, "start from a published system's values", "model", PRESETS)

  def add_plugin_flags(self) -> None:
    """Defines a flag for each option of a plugin's part that is no field of Config."""
    for name, field in own_options().items():
      if name in self.values:
        raise UserError(f"a plugin's part has an option {name}, and --{name} is another flag here")
      what = (field.metadata["help"], field.metadata["group"])
      self.add(field.type, name, field.default, *what, rare=name in self._packaged)
      self._names.append(name)

  def config(self, defaults: Config, chosen: Mapping[str, Any] = MappingProxyType({})) -> Config:
    """Returns the defaults of the chosen system or model, changed by the flags that were given.

    Args:
      defaults: of the experiment.
      chosen: fields that are not the user's to give.
    """
    given = {name: self.values[name].value for name in self._names if self.values[name].present}
    given |= chosen
    start = starting_point(defaults, self.values.preset, given.get("model", defaults.model))
    config = with_values(start, given)
    # What was chosen for one optimiser is no choice of the user's for another.
    idle = {
      name: fields()[name].default
      for name, (choice, *_) in unread(config).items()
      if choice == "optimizer" and name not in given
    }
    return with_values(config, idle)


def refuse_unread_fields(values: Any, config: Config, chosen: Collection[str] = ()) -> None:
  """Raises UserError for flags that nothing reads in a config.

  Args:
    values: the parsed flags.
    config: that they make.
    chosen: fields that are a sweep's: they may be otherwise in another run, which reads them.
  """
  if config.dataset in WITHOUT_FILES and "data_dir" in values and values["data_dir"].present:
    raise UserError(f"--data_dir is not read for --dataset={config.dataset}: leave it out")
  if not config.eval_every:
    refuse_unread(values, ["eval_samples"], "--eval_every above 0")
  for entry in AUGMENTATIONS.values():
    if entry.strength and not getattr(config, entry.strength) and entry.strength not in chosen:
      refuse_unread(values, read_by(entry), f"--{entry.strength} above 0")
  swept = {"ema_half_life", "ema_decay"} & set(chosen)
  if config.ema_half_life is not None and values["ema_decay"].present and not swept:
    raise UserError(
      f"--ema_decay is not read beside --ema_half_life={config.ema_half_life}, which says the "
      "same in images: leave out one of the two"
    )
  rules = [] if "update_rule" in chosen else made(config, "update_rule").values()
  if not all(rule.adversarial for rule in rules):
    refuse_unread(values, ["discriminator_learning_rate"], "an --update_rule with a discriminator")
  players = ("generator_optimizer", "discriminator_optimizer")
  if all(getattr(config, name) and name not in chosen for name in players):
    refuse_unread(values, ["optimizer"], "a player without an optimizer of its own")


def starting_point(defaults: Config, preset: str | None, model: str) -> Config:
  """Returns the config that given flags change.

  A preset is exact: of the experiment it takes the data set, how it is evaluated and nothing that
  was tuned. A model that is not the experiment's own starts from Config's values of all in TUNED.
  """
  if preset:
    kept = {name: getattr(defaults, name) for name in ("dataset", "eval_every", "eval_samples")}
    return with_values(Config(), kept | PRESETS[preset])
  if model == defaults.model:
    return defaults
  return dataclasses.replace(defaults, **{name: getattr(Config(), name) for name in TUNED})


def train(
  name: str,
  doc: str,
  defaults: Config,
  argv: Sequence[str] | None = None,
  *,
  animated: bool = False,
  own_images: bool = False,
) -> int:
  """The main function of a training command; returns its exit code.

  Args:
    name: of the experiment, for the default run folder.
    doc: its docstring.
    defaults: its config.
    argv: the command line, `sys.argv` by default.
    animated: whether there is a flag --animate, for points in the plane.
    own_images: whether the data are the user's, so that --data_dir has to be given for them.
  """
  command = ConfigCommand(doc)
  command.add(PATH, "workdir", None, "run folder (default: runs/<name>/<choice>)", "records")
  if animated:
    command.add(bool, "animate", False, "also write animation.gif of the whole run", "records")
  command.add(PATH, "data_dir", None, "IDX files, .npz, .zip, images, or a root of these", "data")
  processes.add_flags(command)
  command.add_config(defaults)

  def main():
    data_dir = command.values.data_dir
    config = command.config(defaults)
    if own_images and not data_dir and config.dataset == defaults.dataset:
      raise UserError("--data_dir is missing: name a folder of images, a .npz or a .zip of images")
    prepare()
    refuse_unread_fields(command.values, config)
    validate(config)
    measured = measured_by(config)
    chosen(config.log)  # refuses a writer that is unknown, or whose package is missing
    # Equal flags for other images are another run.
    place = f"{name}/{pathlib.Path(data_dir).resolve().stem}" if own_images and data_dir else name
    workdir = command.values.workdir or default_workdir(place, config, measured)
    line = typed(name, argv or sys.argv)
    with processes.joined(command.values):
      summary = _train(config, workdir, command.values, line, animated and command.values.animate)
      return _report(summary, pathlib.Path(workdir), command.values, list(argv or sys.argv))

  return command.run(main, argv)


def _train(config, workdir, values, line, animate) -> dict[str, Any]:
  with interrupts():
    # Importing training only now keeps --help and flag errors quick.
    from gan.training import animation, distributed, loop

    stop_here()
    here = distributed.is_main_process()
    tell = functools.partial(notify, values=values) if here else lambda line: None
    if animate:
      animation.check(config, values.data_dir)
    tell(f"Run folder: {workdir}")
    summary = loop.fit(config, workdir, values.data_dir, command=line, say=tell)
  if animate and summary["status"] != "interrupted" and distributed.is_main_process():
    path = pathlib.Path(workdir) / "animation.gif"
    animation.animate(config, path, values.data_dir)
    say(f"Animation: {path}")
  return summary


def with_notice_printed(dataset: Any, values: Container[str]) -> Any:
  """Prints a data set's notice, if any, and returns the data set; `values` holds the flags."""
  notify(dataset.notice, values)
  return dataset


def measured_by(config: Config) -> dict[str, str]:
  """Returns what a default folder's name tells of the source and extractors of a config.

  Raises:
    UserError: one is not there, is damaged or none, or nothing reads it.
  """
  named = {"init_from": config.init_from} if config.init_from else {}
  if config.extractor is None:
    return named
  # Importing metrics only now keeps --help and flag errors quick.
  from gan.training import measuring

  return named | measuring.identity(measuring.read(config))


def default_workdir(
  name: str, config: Config, measured: Mapping[str, str] = MappingProxyType({})
) -> str:
  """Returns runs/<name>/<loss>-<model>-<fingerprint>: another config gets another folder.

  A run of an earlier version, which knew the loss by an alias, goes on where it is.

  Args:
    name: of the experiment.
    config: of the run.
    measured: of `measured_by`.
  """
  own = identity(config) | measured
  folders = [
    f"runs/{name}/{loss}-{config.model}-{fingerprint(own | {'loss': loss})[:6]}"
    for loss in (config.loss, *earlier_names(config.loss))
  ]
  return next(filter(os.path.isdir, folders), folders[0])


def prepare() -> None:
  """Keeps compiled programs in the user's cache folder, and freed memory in the process."""
  use_compilation_cache()
  keep_freed_memory()


def use_compilation_cache() -> None:
  """Keeps compiled programs in the user's cache folder, so that the second start is quick."""
  if not jax.config.jax_compilation_cache_dir:
    jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "xla"))
  jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def _report(summary, workdir, values, argv) -> int:
  """Says how a run ended and where to look next, once over all processes; the exit code."""
  from gan.training import distributed

  status = summary["status"]
  following = "; the same command continues" if status == "interrupted" else ""
  if status == "finished":
    given = f"--workdir={shlex.quote(str(workdir))}"
    lines = [f"{program(name, argv)} {given}" for name in ("sample", "evaluate")]
    following = f"; next: {lines[0]} (pictures), {lines[1]} (metrics)"
  if distributed.is_main_process():
    seen = f"{workdir / 'samples'} and {workdir / 'summary.json'}"
    notify(f"{status}; see {seen}{following}", values)
  if status.startswith("diverged"):
    return DIVERGED
  return INTERRUPTED if status == "interrupted" else OK
