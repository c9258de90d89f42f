"""What commands share: one absl flag for each field of Config, help by groups, clean errors."""

import collections
import dataclasses
import os
import pathlib
import shlex
import sys
import textwrap
import typing
from collections.abc import Callable, Sequence

import jax
from absl import flags, logging

from gan.config import Config, determining, fingerprint, unread_rates, validate
from gan.environment import cache_folder
from gan.errors import UserError
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

OK, BAD_INPUT, DIVERGED, INTERRUPTED, CLOSED_PIPE = 0, 2, 3, 130, 141


class Command:
  """A command line: flags under headings, and what runs when they are parsed.

  Args:
    doc: the docstring of the experiment, the head of `--help`.
  """

  def __init__(self, doc: str):
    self.values = flags.FlagValues()
    self._doc = doc
    self._groups = collections.defaultdict(list)

  def add(self, kind: type, name: str, default, text: str, group: str, choices=None) -> None:
    """Defines one flag of type int, float, bool or str; `choices` makes it one of a list."""
    define = {
      int: flags.DEFINE_integer,
      float: flags.DEFINE_float,
      bool: flags.DEFINE_bool,
      str: flags.DEFINE_string,
    }[kind]
    if choices is not None:
      flags.DEFINE_enum(name, default, sorted(choices), text, flag_values=self.values)
    else:
      define(name, default, text, flag_values=self.values)
    self._groups[group].append(name)

  def add_config(self, defaults: Config) -> None:
    """Defines a flag for each field of Config, and --preset."""
    for field in dataclasses.fields(defaults):
      kind = _flag_type(field.type)
      default = getattr(defaults, field.name)
      group, text = field.metadata["group"], field.metadata["help"]
      self.add(kind, field.name, default, text, group, field.metadata["choices"])
    self.add(str, "preset", None, "start from a published system's values", "model", PRESETS)

  def config(self, defaults: Config) -> Config:
    """Returns the defaults of the chosen system or model, changed by the flags that were given."""
    given = {
      field.name: self.values[field.name].value
      for field in dataclasses.fields(defaults)
      if self.values[field.name].present
    }
    start = starting_point(defaults, self.values.preset, given.get("model", defaults.model))
    config = dataclasses.replace(start, **given)
    # What was chosen for one optimiser is no choice of the user's for another.
    unread = {name: getattr(Config(), name) for name in unread_rates(config) if name not in given}
    return dataclasses.replace(config, **unread)

  def run(self, main: Callable[[], int], argv: Sequence[str] | None = None) -> int:
    """Parses the flags and runs `main`; returns the exit code, and prints errors in one line."""
    argv = list(sys.argv if argv is None else argv)
    logging.set_verbosity(logging.ERROR)
    try:
      code = self._parse_and_run(main, argv)
      sys.stdout.flush()
      return code
    except (UserError, flags.Error) as error:
      print(f"error: {error}", file=sys.stderr)
      return BAD_INPUT
    except BrokenPipeError:
      # The reader of our output has gone, as `head` does: nothing more can be printed.
      sys.stdout = open(os.devnull, "w")  # noqa: SIM115
      return CLOSED_PIPE
    except KeyboardInterrupt:
      print("Interrupted; what was saved before is on disk.", file=sys.stderr)
      return INTERRUPTED

  def _parse_and_run(self, main, argv):
    if {"--help", "-h", "-help", "--helpfull", "--helpshort"} & set(argv[1:]):
      print(self._help())
      return OK
    if rest := self.values(argv)[1:]:
      raise UserError(f"{' '.join(rest)}: every argument is a flag, --name=value; see --help")
    return main()

  def _help(self) -> str:
    lines = [self._doc.strip()]
    for group, names in self._groups.items():
      lines += ["", f"{group}:"] + [self._flag_help(name) for name in names]
    return "\n".join(lines)

  def _flag_help(self, name):
    flag = self.values[name]
    default = "" if flag.default is None else f" (default: {flag.default})"
    # absl puts the names of an enum flag before its help.
    text = f"--{name}: {flag.help}{default}".replace("|", " | ")
    return textwrap.fill(text, width=100, initial_indent="  ", subsequent_indent=" " * 6)


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


def _flag_type(annotation) -> type:
  """int for `int | None`, and so on."""
  kinds = [kind for kind in typing.get_args(annotation) if kind is not type(None)]
  return kinds[0] if kinds else annotation


def train(name: str, doc: str, defaults: Config, argv: Sequence[str] | None = None) -> int:
  """The main function of a training command; returns its exit code.

  Args:
    name: of the experiment, for the default run folder.
    doc: its docstring.
    defaults: its config.
    argv: the command line, `sys.argv` by default.
  """
  command = Command(doc)
  command.add(str, "workdir", None, "run folder (default: runs/<name>/<choice>)", "records")
  command.add(str, "data_dir", None, "IDX files, .npz, images, or a root of such folders", "data")
  command.add_config(defaults)

  def main():
    # Importing training only now keeps --help and flag errors quick.
    from gan import train

    use_compilation_cache()
    config = command.config(defaults)
    validate(config)
    workdir = command.values.workdir or default_workdir(name, config)
    say(f"Run folder: {workdir}")
    typed = shlex.join(["python", "-m", f"experiments.{name}", *(argv or sys.argv)[1:]])
    summary = train.fit(config, workdir, command.values.data_dir, command=typed, say=say)
    return _report(summary, pathlib.Path(workdir))

  return command.run(main, argv)


def default_workdir(name: str, config: Config) -> str:
  """Returns runs/<name>/<loss>-<model>-<fingerprint>: another config gets another folder."""
  return f"runs/{name}/{config.loss}-{config.model}-{fingerprint(determining(config))[:6]}"


def use_compilation_cache() -> None:
  """Keeps compiled programs in the user's cache folder, so that the second start is quick."""
  if not jax.config.jax_compilation_cache_dir:
    jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "xla"))
  jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def _report(summary, workdir) -> int:
  status = summary["status"]
  say(f"{status}; see {workdir / 'samples'} and {workdir / 'summary.json'}")
  if status.startswith("diverged"):
    return DIVERGED
  return INTERRUPTED if status == "interrupted" else OK
