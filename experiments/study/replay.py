"""Says what successive halving would have done in a search that was made without it.

  python -m experiments.study.replay --workdir=runs/study/search --factor=3

From the records alone: the share of the steps that would have been saved, and for each loss whether
the same setting would have been chosen. Where the study was confirmed (../confirm), another setting
counts as the same if its value is no worse than the 95 % interval of the chosen one's fresh seeds.
"""

import sys

from experiments.cli.command import OK, PATH, Command
from gan.errors import UserError


def main(argv=None):
  command = Command(__doc__, opens_run=False)
  command.add(PATH, "workdir", None, "the folder of a search, a sweep", "what")
  command.add(int, "factor", 3, "one of so many settings goes on from each rung", "what")
  command.add(str, "metric", None, "of the comparison (default: the first evaluated)", "what")
  return command.run(lambda: _run(command.values), argv)


def _run(values) -> int:
  from gan.report import replay

  if not values.workdir:
    raise UserError("--workdir is missing: name the folder of a search")
  found = replay.load(values.workdir, values.factor, values.metric)
  rungs = ", ".join(map(str, found.rungs))
  print(f"{found.metric}, one of {values.factor} settings of each loss goes on from step {rungs}")
  for loss, choice in found.choices.items():
    print(f"{loss}: {_said(choice)}")
  same = [choice.same for choice in found.choices.values()]
  print(
    f"{100 * found.saved:.0f} % of the steps saved; the same best for {same.count(True)} of "
    f"{len(same)} losses, another for {same.count(False)}, not known of {same.count(None)}"
  )
  return OK


def _said(choice) -> str:
  if choice.whole == choice.halved:
    return f"{choice.whole} ({choice.whole_value:.4g}) by both"
  interval = choice.confirmed and choice.confirmed.median_interval
  again = f", confirmed at {interval[0]:.4g} to {interval[1]:.4g}" if interval else ""
  return (
    f"{choice.whole} ({choice.whole_value:.4g}{again}) of all, {choice.halved} "
    f"({choice.halved_value:.4g}) by halving"
  )


if __name__ == "__main__":
  sys.exit(main())
