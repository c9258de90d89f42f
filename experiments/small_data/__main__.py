"""Trains GANs on shares of MNIST and CIFAR-10 with each means against overfitting, and compares.

  python -m experiments.small_data --quick
  python -m experiments.small_data --minutes=70

The quick study is MNIST by a small network, 2,000 steps a run. Samples are measured against the
whole training split, however few of it a run sees. <outdir>/report.html has the metric against
steps, best and last values, the discriminator on training and on held-out data, the samples nearest
to training images, and the differences that survive a correction for all of them. The page is drawn
after each piece, of what there is.

The full study takes many hours on two cores: --minutes ends a piece, as does Ctrl-C, and the same
command goes on where it stopped. --arms, --shares, --datasets and --seeds choose a part; parts of
one --outdir are one study.
"""

import pathlib
import sys

from experiments.cli.command import INTERRUPTED, OK, PATH, Command, notify, typed
from experiments.cli.deadline import interrupted_after
from gan.errors import UserError
from gan.system.progress import say
from gan.training.run_folder import writable_folder


def main(argv=None):
  command = Command(__doc__)
  command.add(bool, "quick", False, "a small network, on MNIST alone", "study")
  command.add(str, "datasets", "all", "names by commas, or all", "study")
  command.add(str, "shares", "all", "per cent of the training data, by commas, or all", "study")
  command.add(str, "arms", "all", "means by commas, or all", "study")
  command.add(int, "seeds", 3, "runs of each, with seeds 0, 1, ...", "study")
  command.add(int, "minutes", None, "after which this piece ends (default: at the end)", "study")
  command.add(PATH, "data_dir", None, "a root of data sets (default: GAN_DATA_DIR)", "data")
  command.add(PATH, "outdir", None, "(default: runs/small_data, with --quick _quick)", "output")
  return command.run(lambda: _run(command.values, list(argv or sys.argv)), argv)


def _run(values, argv) -> int:
  # Importing JAX only now keeps --help quick.
  from experiments.cli.common import prepare
  from experiments.small_data import training
  from experiments.small_data.arms import ARMS, FULL, QUICK, SHARES, Cell

  form = QUICK if values.quick else FULL
  datasets = _chosen(values, "datasets", form)
  shares = [int(share) for share in _chosen(values, "shares", list(map(str, SHARES)))]
  arms = _chosen(values, "arms", ARMS)
  for name in ("seeds", "minutes"):
    if values[name].value is not None and values[name].value < 1:
      raise UserError(f"--{name}={values[name].value} must be above 0")
  outdir = writable_folder(values.outdir or f"runs/small_data{'_quick' * values.quick}")
  prepare()
  cells = [Cell(dataset, share) for dataset in datasets for share in shares]
  work = training.tasks(form, cells, arms, values.seeds, outdir)
  training.check_data(form, work, values.data_dir)
  with interrupted_after(values.minutes and 60 * values.minutes):
    done = training.train(
      work,
      values.data_dir,
      typed("small_data", argv),
      lambda line: notify(line, values),
    )
  _show(form, outdir)
  if not done:
    ended, runs = sum(task.ended() for task in work), sum(len(task.trials) for task in work)
    say(f"{ended} of {runs} runs are at their end; the same command goes on with the others.")
  return OK if done else INTERRUPTED


def _chosen(values, flag, known) -> list[str]:
  """The names of a flag, in the order of the study."""
  text = values[flag].value
  names = list(known) if text == "all" else [name.strip() for name in text.split(",")]
  if unknown := [name for name in names if name not in known]:
    quick = " of the quick study" if values.quick and flag == "datasets" else ""
    raise UserError(
      f"--{flag}={','.join(unknown)} is unknown: choose from {', '.join(known)}{quick}, or all"
    )
  return [name for name in known if name in names]


def _show(form, outdir: pathlib.Path) -> None:
  """Draws the page of all that the folder holds."""
  from experiments.small_data import page, results
  from experiments.small_data.arms import SHARES, Cell

  found = results.load([Cell(name, share) for name in form for share in SHARES], outdir)
  if not found:
    say("Nothing is measured yet: there is no page.")
    return
  sentences = page.write(found, outdir, say)
  print(page.to_text(found), end="\n\n")
  print("\n".join(sentences))
  say(f"Written: {outdir / 'report.html'}, {outdir / 'summary.csv'}, {outdir / 'figures'}")


if __name__ == "__main__":
  sys.exit(main())
