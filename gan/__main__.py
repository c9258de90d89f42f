"""Lists the commands of the installed package: `python -m gan`. None of them is imported."""

import ast
import importlib.metadata
import pathlib
import sys

import gan

PACKAGE = "gan-jax"


def main(arguments: list[str]) -> int:
  """Prints each command with what it does, or the version; returns the exit code.

  Args:
    arguments: of the command line: none, --help or --version.
  """
  if arguments == ["--version"]:
    print(f"{PACKAGE} {gan.__version__}")
    return 0
  if arguments not in ([], ["--help"], ["-h"]):
    return _fail(f"{' '.join(arguments)} is not read: python -m gan lists the commands, start one")
  try:
    scripts = importlib.metadata.distribution(PACKAGE).entry_points.select(group="console_scripts")
  except importlib.metadata.PackageNotFoundError:
    return _fail(
      f"{PACKAGE} is not installed, so that it has no commands: pip install -e . in the clone, or "
      "start them from there as python -m experiments.NAME"
    )
  width = max(len(script.name) for script in scripts)
  lines = [f"  {script.name:{width}}  {_meaning(script.value)}" for script in scripts]
  print("\n".join([f"{PACKAGE} {gan.__version__}", "", *lines, "", "Each has --help."]))
  return 0


def _fail(line: str) -> int:
  print(f"error: {line}", file=sys.stderr)
  return 2


def _meaning(entry: str) -> str:
  """The first line of the docstring of a function, read off the source beside this package.

  Args:
    entry: "module:function".
  """
  module, _, function = entry.partition(":")
  path = pathlib.Path(__file__).parents[1].joinpath(*module.split(".")).with_suffix(".py")
  found = [
    node
    for node in ast.parse(path.read_text(encoding="utf-8")).body
    if isinstance(node, ast.FunctionDef) and node.name == function
  ]
  return (ast.get_docstring(found[0]) or "").split("\n")[0]


if __name__ == "__main__":
  sys.exit(main(sys.argv[1:]))
