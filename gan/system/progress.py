"""What a user sees of a run while it works: a bar on a terminal, plain lines elsewhere."""

import contextlib
import errno
import sys
import time
from typing import Any, Protocol, runtime_checkable

from tqdm import tqdm

# Where there is no bar: seconds between lines at least, and after which a record has one.
LINES_EVERY, SILENCE = 10.0, 60.0
# The metrics that a line has room for.
SHOWN = ("classifier_score", "frechet_distance", "coverage", "high_quality_share", "modes_kl")


def say(line: str, stream: Any = None) -> None:
  """Prints a line to the user; a terminal that has been closed costs the line, and not the run."""
  try:
    print(line, file=stream or sys.stderr, flush=True)
  except OSError as error:
    if error.errno != errno.EIO:
      raise


class Pace:
  """When a line is due: what is read by nobody for hours is to be read through in a minute."""

  def __init__(self):
    self._said, self._began = None, time.monotonic()

  def due(self, seconds: float) -> bool:
    """Whether so many seconds have passed since the last line, or else since the beginning."""
    since = self._began if self._said is None else self._said
    return time.monotonic() - since >= seconds

  def reported(self, at_end: bool) -> bool:
    """Whether a report has a line: the first, the last, and others LINES_EVERY seconds apart."""
    return at_end or self._said is None or self.due(LINES_EVERY)

  def said(self) -> None:
    """Takes that a line was printed."""
    self._said = time.monotonic()


@runtime_checkable
class Progress(Protocol):
  """What the loop tells of the runs that it steps."""

  def advance(self, steps: int) -> None:
    """Counts steps that every run has made."""

  def show(self, record: dict[str, Any]) -> None:
    """Takes the latest record of a run, whenever one is written."""

  def report(self, record: dict[str, Any]) -> None:
    """Takes the latest record of a run, whenever a picture is drawn."""

  def evaluated(self, record: dict[str, Any]) -> None:
    """Takes what a run measured of its generator."""


@runtime_checkable
class TrialsProgress(Progress, Protocol):
  """What a sweep tells beside that: its runs stand at different steps, some at their end."""

  def skip(self, steps: int) -> None:
    """Counts steps that were made before, or that will not be made."""

  def begin(self, names: list[str], step: int) -> None:
    """Takes which runs are stepped from now on, and where they stand."""


class RunProgress:
  """Shows steps, rates, losses and the time left; a context manager.

  Args:
    steps: where the run ends.
    start: where it begins.
    images_per_step: real images that a step sees.
    stream: a terminal gets a bar; anything else a line at the start, of reports as Pace lets them
      through, and after SILENCE.
  """

  def __init__(self, steps: int, start: int, images_per_step: int, stream: Any = None):
    self._stream = stream or sys.stderr
    self._steps, self._start, self._images = steps, start, images_per_step
    self._began, self._pace = time.monotonic(), Pace()
    self._bar = tqdm(
      total=steps,
      initial=start,
      desc="compiling",
      unit="step",
      dynamic_ncols=True,
      file=self._stream,
      disable=not self._stream.isatty(),
    )

  def __enter__(self) -> "RunProgress":
    if self._bar.disable:
      say("compiling the step", self._stream)
    return self

  def __exit__(self, *error: Any) -> None:
    self._bar.close()

  def advance(self, steps: int) -> None:
    """Moves the bar."""
    self._bar.set_description_str(refresh=False)
    self._bar.update(steps)

  def show(self, record: dict) -> None:
    """Puts the losses and the rate of the latest record beside the bar."""
    self._bar.set_postfix_str(
      f"{self._rate(record['step']) * self._images:.0f} images/s {losses(record)}"
    )
    if self._bar.disable and self._pace.due(SILENCE):
      self._say(record)

  def report(self, record: dict) -> None:
    """Prints a line where there is no bar, and one is due."""
    if self._bar.disable and self._pace.reported(record["step"] >= self._steps):
      self._say(record)

  def _say(self, record: dict) -> None:
    rate = self._rate(record["step"])
    speed = f"{rate:.1f} steps/s  {rate * self._images:.0f} images/s"
    left = _left(self._steps - record["step"], rate)
    say(f"step {record['step']}/{self._steps}  {speed}  {losses(record)}  {left}", self._stream)
    self._pace.said()

  def evaluated(self, record: dict) -> None:
    """Prints what a run measured of its generator, above the bar where there is one."""
    numbers = {name: value for name, value in record.items() if isinstance(value, float)}
    names = [name for name in SHOWN if name in numbers] or [*numbers][:3]  # a plugin's, perhaps
    values = [f"{name} {numbers[name]:.4g}" for name in names]
    line = f"step {record['step']}: {', '.join(values)} ({record['eval_samples']} samples)"
    tqdm.write(line, file=self._stream)

  def _rate(self, step: int) -> float:
    return (step - self._start) / max(time.monotonic() - self._began, 1e-9)


class CountProgress:
  """Shows how many of something are done, the rate and the time left; a context manager.

  Args:
    what: is done, in words.
    total: of them.
    start: how many were done before.
    unit: what one of them is.
    stream: a terminal gets a bar, anything else a line every LINES_EVERY seconds.
  """

  def __init__(self, what: str, total: int, start: int, unit: str, stream: Any = None):
    self._stream = stream or sys.stderr
    self._what, self._unit, self._done = what, unit, start
    self._bar = tqdm(
      total=total,
      initial=start,
      desc=what,
      unit=unit,
      dynamic_ncols=True,
      file=self._stream,
      disable=not self._stream.isatty(),
    )
    self._start, self._total = start, total
    self._began = self._said = time.monotonic()

  def __enter__(self) -> "CountProgress":
    return self

  def __exit__(self, *error: Any) -> None:
    self._bar.close()

  def advance(self, count: int) -> None:
    """Counts some more that are done."""
    self._bar.update(count)
    self._done += count
    now = time.monotonic()
    if self._bar.disable and now - self._said >= LINES_EVERY:
      rate = (self._done - self._start) / (now - self._began)
      left = _left(self._total - self._done, rate)
      share = f"{self._done:,} of {self._total:,} {self._unit}s"
      digits = ".0f" if rate >= 10 else ".2g"
      line = f"{self._what}: {share}  {rate:{digits}} {self._unit}s/s  {left}"
      say(line, self._stream)
      self._said = now


class SweepProgress:
  """Shows steps of all runs together, rate and time left; a context manager.

  Args:
    steps: of all runs.
    stream: a terminal gets a bar, anything else lines as of RunProgress.
  """

  def __init__(self, steps: int, stream: Any = None):
    self._stream = stream or sys.stderr
    self._names = []
    self._began, self._made, self._pace = time.monotonic(), 0, Pace()
    self._bar = tqdm(
      total=steps,
      unit="step",
      dynamic_ncols=True,
      file=self._stream,
      disable=not self._stream.isatty(),
    )
    self._done, self._total = 0, steps

  def __enter__(self) -> "SweepProgress":
    return self

  def __exit__(self, *error: Any) -> None:
    self._bar.close()

  def skip(self, steps: int) -> None:
    """Counts steps that were made before."""
    self._done += steps
    self._bar.update(steps)

  def begin(self, names: list[str], step: int) -> None:
    """Says which runs are stepped from now on, and where they stand."""
    self._names = names
    self.skip(step * len(names))

  def advance(self, steps: int) -> None:
    """Moves the bar by steps of every run at work."""
    self._made += steps * len(self._names)
    self.skip(steps * len(self._names))

  def show(self, record: dict) -> None:
    """Puts who is at work and the losses of one of them beside the bar."""
    self._bar.set_postfix_str(f"{self._who()} {losses(record)}")
    if self._bar.disable and self._pace.due(SILENCE):
      self._say(record)

  def report(self, record: dict) -> None:
    """Prints a line where there is no bar, and one is due."""
    if self._bar.disable and self._pace.reported(self._done >= self._total):
      self._say(record)

  def _say(self, record: dict) -> None:
    rate = self._made / max(time.monotonic() - self._began, 1e-9)
    left = _left(self._total - self._done, rate)
    share = f"{100 * self._done / self._total:.0f} % of the steps"
    line = f"{self._who()} step {record['step']}  {share}  {rate:.1f} steps/s  {left}"
    say(line, self._stream)
    self._pace.said()

  def evaluated(self, record: dict) -> None:
    """Evaluations of runs are read from their folders."""

  def _who(self) -> str:
    more = f" and {len(self._names) - 1} more" if len(self._names) > 1 else ""
    return f"{self._names[0]}{more}"


class GroupsProgress:
  """A live table of groups that are trained elsewhere: state, steps, rate, time left.

  Args:
    rows: (title, steps) of each group.
    stream: a terminal gets a bar for each group, anything else a line for each change of state.
  """

  def __init__(self, rows: list[tuple[str, int]], stream: Any = None):
    self._stream = stream or sys.stderr
    self._rows, self._states = rows, ["waiting"] * len(rows)
    self._bars = [
      tqdm(
        total=steps,
        desc=title,
        unit="step",
        position=i,
        postfix="waiting",
        dynamic_ncols=True,
        file=self._stream,
        disable=not self._stream.isatty(),
      )
      for i, (title, steps) in enumerate(rows)
    ]

  def __enter__(self) -> "GroupsProgress":
    return self

  def __exit__(self, *error: Any) -> None:
    for bar in self._bars:
      bar.close()

  def aside(self) -> contextlib.AbstractContextManager:
    """The table makes room for lines that are printed in this context."""
    return tqdm.external_write_mode(file=self._stream)

  def show(self, index: int, state: str, steps: int) -> None:
    """Takes how far a group is."""
    bar, changed = self._bars[index], state != self._states[index]
    self._states[index] = state
    if not bar.disable:
      bar.set_postfix_str(state, refresh=False)
      bar.n = steps
      bar.refresh()
    elif changed:
      title, total = self._rows[index]
      say(f"{title}: {state}, {steps} of {total} steps", self._stream)


def _left(count: float, rate: float) -> str:
  """The time that is left, where nothing is known of the rate before something is done."""
  return f"{tqdm.format_interval(count / rate) if rate else '?'} left"


def losses(record: dict) -> str:
  """The two losses and what D makes of real and fake, in a few words; G's where D does not play."""
  if "discriminator_loss" not in record:
    return f"G {record['generator_loss']:.3f}"
  return (
    f"D {record['discriminator_loss']:.3f} G {record['generator_loss']:.3f}"
    f" D(x) {record['real_probability']:.2f} D(G(z)) {record['fake_probability']:.2f}"
  )
