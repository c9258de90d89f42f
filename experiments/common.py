"""What commands that train share: one flag for each field of Config, the compilation cache."""

import dataclasses
import pathlib
import shlex
import sys
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jax

from experiments import processes
from experiments.command import DIVERGED, INTERRUPTED, OK, PATH, Command, refuse_unread
from gan.config import Config, determining, field_types, fingerprint, unread_rates, validate
from gan.errors import UserError
from gan.home import cache_folder
from gan.machine import keep_freed_memory
from gan.presets import PRESETS
from gan.progress import say

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
WITHOUT_FILES = ("digits", "grid", "ring")  # data sets that are drawn, or come with a package


class ConfigCommand(Command):
  """A command line with a flag for each field of Config."""

  def add_config(self, defaults: Config | None, without: Sequence[str] = ()) -> None:
    """Defines a flag for each field of Config, and --preset.

    Args:
      defaults: what the help shows; None where that depends on other flags.
      without: fields that have no flag.
    """
    kinds = field_types()
    self._fields = [field for field in dataclasses.fields(Config) if field.name not in without]
    for field in self._fields:
      default = None if defaults is None else getattr(defaults, field.name)
      group, text = field.metadata["group"], field.metadata["help"]
      self.add(kinds[field.name], field.name, default, text, group, field.metadata["choices"])
    self.add(str, "preset", None, "start from a published system's values", "model", PRESETS)

  def config(self, defaults: Config, chosen: Mapping[str, Any] = MappingProxyType({})) -> Config:
    """Returns the defaults of the chosen system or model, changed by the flags that were given.

    Args:
      defaults: of the experiment.
      chosen: fields that are not the user's to give.
    """
    given = {
      field.name: self.values[field.name].value
      for field in self._fields
      if self.values[field.name].present
    }
    given |= chosen
    start = starting_point(defaults, self.values.preset, given.get("model", defaults.model))
    config = dataclasses.replace(start, **given)
    # What was chosen for one optimiser is no choice of the user's for another.
    unread = {name: getattr(Config(), name) for name in unread_rates(config) if name not in given}
    return dataclasses.replace(config, **unread)


def refuse_unread_fields(values: Any, config: Config, chosen: Collection[str] = ()) -> None:
  """Raises UserError for flags that nothing reads in a config.

  Args:
    values: the parsed flags.
    config: that they make.
    chosen: fields that are a sweep's: they may be otherwise in another member, which reads them.
  """
  if config.dataset in WITHOUT_FILES and "data_dir" in values and values["data_dir"].present:
    raise UserError(f"--data_dir is not read for --dataset={config.dataset}: leave it out")
  if not config.eval_every:
    refuse_unread(values, ["eval_samples"], "--eval_every above 0")
  if not config.instance_noise and "instance_noise" not in chosen:
    refuse_unread(values, ["instance_noise_steps"], "--instance_noise above 0")
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
    return Config(**kept | PRESETS[preset])
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
) -> int:
  """The main function of a training command; returns its exit code.

  Args:
    name: of the experiment, for the default run folder.
    doc: its docstring.
    defaults: its config.
    argv: the command line, `sys.argv` by default.
    animated: whether there is a flag --animate, for points in the plane.
  """
  command = ConfigCommand(doc)
  command.add(PATH, "workdir", None, "run folder (default: runs/<name>/<choice>)", "records")
  if animated:
    command.add(bool, "animate", False, "also write animation.gif of the whole run", "records")
  command.add(PATH, "data_dir", None, "IDX files, .npz, images, or a root of such folders", "data")
  processes.add_flags(command)
  command.add_config(defaults)

  def main():
    prepare()
    config = command.config(defaults)
    refuse_unread_fields(command.values, config)
    validate(config)
    workdir = command.values.workdir or default_workdir(name, config)
    typed = shlex.join(["python", "-m", f"experiments.{name}", *(argv or sys.argv)[1:]])
    with processes.joined(command.values):
      return _train(config, workdir, command.values, typed, animated and command.values.animate)

  return command.run(main, argv)


def _train(config, workdir, values, typed, animate):
  # Importing training only now keeps --help and flag errors quick.
  from gan import animation, distributed, train

  tell = say if distributed.leads() else lambda line: None
  if animate:
    animation.check(config, values.data_dir)
  tell(f"Run folder: {workdir}")
  summary = train.fit(config, workdir, values.data_dir, command=typed, say=tell)
  if animate and summary["status"] != "interrupted" and distributed.leads():
    path = pathlib.Path(workdir) / "animation.gif"
    animation.animate(config, path, values.data_dir)
    say(f"Animation: {path}")
  return _report(summary, pathlib.Path(workdir), tell)


def default_workdir(name: str, config: Config) -> str:
  """Returns runs/<name>/<loss>-<model>-<fingerprint>: another config gets another folder."""
  return f"runs/{name}/{config.loss}-{config.model}-{fingerprint(determining(config))[:6]}"


def prepare() -> None:
  """Readies the process for compiled programs: where they are kept, and what memory is."""
  use_compilation_cache()
  keep_freed_memory()


def use_compilation_cache() -> None:
  """Keeps compiled programs in the user's cache folder, so that the second start is quick."""
  if not jax.config.jax_compilation_cache_dir:
    jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "xla"))
  jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def _report(summary, workdir, tell) -> int:
  status = summary["status"]
  tell(f"{status}; see {workdir / 'samples'} and {workdir / 'summary.json'}")
  if status.startswith("diverged"):
    return DIVERGED
  return INTERRUPTED if status == "interrupted" else OK
