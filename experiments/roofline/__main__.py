"""Predicts what a step of each preset takes on accelerators that are not here.

  python -m experiments.roofline --docs=docs/roofline.md

Lowers the step of every preset at full size for CUDA, counts its FLOPs, the bytes that it moves and
its memory, and sets them beside published peaks. Nothing is run, and no data are needed; it takes
minutes.
"""

import pathlib
import sys

from experiments.cli.command import OK, PATH, Command, typed
from experiments.roofline import needs, page
from gan.system import environment
from gan.training.presets import PRESETS
from gan.training.run_folder import writable_file


def main(argv=None):
  command = Command(__doc__)
  command.add(PATH, "docs", None, "write the page to this file (default: print it)", "roofline")
  return command.run(lambda: _roofline(command.values.docs, list(argv or sys.argv)), argv)


def _roofline(docs, argv) -> int:
  if docs:
    writable_file(docs, ".md")
  found = [needs.of_preset(name, kind) for name in PRESETS for kind in needs.precisions(name)]
  text = page.render(found, typed("roofline", argv), environment.versions(("jax",))["jax"])
  if docs:
    pathlib.Path(docs).write_text(text, encoding="utf-8")
  else:
    print(text)
  return OK


if __name__ == "__main__":
  sys.exit(main())
