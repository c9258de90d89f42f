"""Prints how a shell completes the commands: their flags, and the names that these take.

  python -m experiments.completion --shell=bash > ~/.gan_completion    # source it in ~/.bashrc
  python -m experiments.completion --shell=zsh > ~/.zsh/_gan           # in a folder of $fpath

Names come from the registries, so that it is printed anew after an update; with --plugin=my_module
it knows the parts of a plugin too.
"""

import importlib
import importlib.util
import itertools
import sys
from collections.abc import Callable, Iterator

from absl import flags

from experiments.cli import flag_types
from experiments.cli.command import CONSOLE, OK, Command, made_by
from experiments.cli.console import EXPERIMENTS
from gan.errors import UserError

FILES, LIST = "@files", "@list"  # in the place of names: any file; before names: several by commas

BASH = r"""
_gan() {
  local line=${COMP_LINE:0:COMP_POINT} command=${1##*/} word flag value values start= kept=
  word=${line##*[[:space:]]}
  COMPREPLY=()
  if [[ $command == gan-train ]]; then
    if ((COMP_CWORD == 1)); then
      COMPREPLY=($(compgen -W "$_gan_experiments" -- "$word"))
      return
    fi
    command+=" ${COMP_WORDS[1]}"
  fi
  if [[ $word != *=* ]]; then
    COMPREPLY=($(compgen -W "$(_gan_flags "$command")" -- "$word"))
    [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace
    return
  fi
  flag=${word%%=*} value=${word#*=} values=$(_gan_values "$command $flag")
  [[ $COMP_WORDBREAKS == *=* ]] || start=$flag=
  if [[ $values == @list* ]]; then
    kept=${value%"${value##*,}"} value=${value##*,} values=${values#@list}
    compopt -o nospace
  fi
  if [[ $values == @files ]]; then
    compopt -o filenames
    mapfile -t COMPREPLY < <(compgen -P "$start" -f -- "$value")
  else
    COMPREPLY=($(compgen -P "$start$kept" -W "$values" -- "$value"))
  fi
}
complete -F _gan $_gan_commands
"""

ZSH = r"""
_gan() {
  local command=${words[1]:t} values
  local -a flags
  if [[ $command == gan-train ]]; then
    ((CURRENT == 2)) && { compadd -- ${=_gan_experiments}; return }
    command+=" $words[2]"
  fi
  if [[ $PREFIX != *=* ]]; then
    flags=(${=$(_gan_flags "$command")})
    compadd -S '' -- ${(M)flags:#*=}
    compadd -- ${flags:#*=}
    return
  fi
  values=$(_gan_values "$command ${PREFIX%%=*}")
  compset -P 1 '*='
  if [[ $values == @files ]]; then
    _files
  elif [[ $values == @list* ]]; then
    compset -P '*,'
    compadd -S '' -- ${=values#@list}
  else
    compadd -- ${=values}
  fi
}
if [[ $funcstack[1] == _gan ]]; then _gan "$@"; else compdef _gan ${=_gan_commands}; fi
"""
SHELLS = {"bash": BASH, "zsh": ZSH}


def main(argv=None):
  command = Command(__doc__, opens_run=False)
  command.add(str, "shell", None, "which completes", "what", SHELLS)
  return command.run(lambda: _print(command.values.shell), argv)


def _print(shell) -> int:
  if not shell:
    raise UserError(f"--shell is missing: choose from {', '.join(SHELLS)}")
  print(script(shell))
  return OK


def script(shell: str) -> str:
  """Returns what a shell has to read, in its own language.

  Args:
    shell: a name of SHELLS.
  """
  made = {f"gan-train {name}": _command(name) for name in EXPERIMENTS}
  made |= {f"gan-{name}": _command(name) for name in CONSOLE}
  commands = " ".join(dict.fromkeys(name.split()[0] for name in made))
  lines = [f"#compdef {commands}"] if shell == "zsh" else []
  lines += [f"_gan_commands='{commands}'", f"_gan_experiments='{' '.join(EXPERIMENTS)}'"]
  lines += _cases("_gan_flags", {name: _flags(command) for name, command in made.items()})
  return "\n".join([*lines, *_cases("_gan_values", _values(made)), SHELLS[shell].strip()])


def _command(name: str) -> Command:
  """The command line of a command, with the flags of the plugins that are loaded."""
  where = f"experiments.{name}"
  spec = importlib.util.find_spec(where)
  page = f"{where}.__main__" if spec and spec.submodule_search_locations else where
  command = made_by(importlib.import_module(page).main)
  command.add_plugin_flags()
  return command


def _flags(command: Command) -> str:
  """Its flags as they are typed, up to where a value begins."""
  found = ((name, command.values[name]) for name in sorted(command.values))
  typed = (f"--{name}" if flag.boolean else f"--{name}=" for name, flag in found)
  return " ".join([*typed, "--help", "--helpfull", "--version"])


def _values(made: dict[str, Command]) -> dict[str, str]:
  """{"gan-sample --format": what it takes}; "* --loss" where all commands take the same."""
  found: dict[str, dict[str, str]] = {}
  for command, line in made.items():
    for name in line.values:
      found.setdefault(name, {})[command] = _taken(name, line.values[name].parser)
  return dict(itertools.chain.from_iterable(map(_keys, found, found.values())))


def _keys(name: str, taken: dict[str, str]) -> Iterator[tuple[str, str]]:
  first, *others = set(taken.values())
  for command, values in [("*", first)] if not others else taken.items():
    if values:
      yield f"{command} --{name}", values


def _taken(name: str, parser: flags.ArgumentParser) -> str:
  if isinstance(parser, (flag_types.Path, flag_types.Paths)):
    return FILES
  suggested: Callable = SUGGESTED.get(name, lambda: getattr(parser, "choices", None) or ())
  names = sorted(suggested())
  return " ".join([LIST, *names] if name in flag_types.LISTS and names else names)


def _datasets():
  from gan.datasets import DATASETS

  return DATASETS


def _augmentations():
  from gan.augment import AUGMENTATIONS

  return AUGMENTATIONS


def _cases_of_theory():
  from experiments.theory.registry import CASES

  return ["all", *CASES]


def _losses():
  from gan.losses import LOSSES

  return ["all", *LOSSES]


def _metrics():
  from gan.metrics import METRICS

  return METRICS


# Of flags that take other words beside these.
SUGGESTED = {
  "dataset": _datasets,
  "augment": _augmentations,
  "case": _cases_of_theory,
  "losses": _losses,
  "metrics": _metrics,
}


def _cases(name: str, answers: dict[str, str]) -> list[str]:
  """A function of the shell that prints the answer to its argument; equal answers stand once."""
  grouped: dict[str, list[str]] = {}
  for key, answer in answers.items():
    grouped.setdefault(answer, []).append(key)
  cases = [f"  {'|'.join(map(_pattern, keys))}) echo '{text}' ;;" for text, keys in grouped.items()]
  return [f"{name}() {{", '  case "$1" in', *cases, "  esac", "}"]


def _pattern(key: str) -> str:
  return f"*' {key[2:]}'" if key.startswith("* ") else f"'{key}'"


if __name__ == "__main__":
  sys.exit(main())
