"""What a user sees of a run: a bar on a terminal, plain lines elsewhere."""

import io
import re

import pytest

from gan.system import progress
from gan.system.progress import CountProgress, RunProgress


class Terminal(io.StringIO):
  def isatty(self):
    return True


@pytest.fixture
def clock(monkeypatch):
  """A clock that the test sets."""
  now = [100.0]
  monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
  return now


def record(step):
  return {
    "step": step,
    "discriminator_loss": 1.25,
    "generator_loss": 0.5,
    "real_probability": 0.75,
    "fake_probability": 0.125,
  }


def run(stream, clock, *, steps=100, start=0, until=20, seconds=10.0, images=64):
  with RunProgress(steps, start, images, stream) as shown:
    clock[0] += seconds
    shown.advance(until - start)
    shown.show(record(until))
    shown.report(record(until))
  return stream.getvalue()


def test_elsewhere_than_on_a_terminal_there_are_plain_lines(clock):
  text = run(io.StringIO(), clock)
  assert text.startswith("compiling the step\nstep 20/100 ")
  assert text.count("\n") == 2 and text.endswith("\n") and "\r" not in text
  assert "\x1b" not in text and "%|" not in text


def test_a_line_holds_step_rates_losses_and_time_left(clock):
  text = run(io.StringIO(), clock)
  # 20 steps in 10 s are 2 steps/s; 80 more take 40 s.
  for part in ("step 20/100", "2.0 steps/s", "128 images/s", "D 1.250 G 0.500", "00:40 left"):
    assert part in text
  assert "D(x) 0.75" in text and "D(G(z)) 0.1" in text


def test_a_continued_run_counts_its_own_steps_only(clock):
  text = run(io.StringIO(), clock, steps=1000, start=500, until=510, seconds=5.0)
  # 10 steps in 5 s are 2 steps/s; 490 more take 245 s.
  assert "step 510/1000" in text and "2.0 steps/s" in text and "04:05 left" in text


def test_the_end_has_no_time_left(clock):
  assert "00:00 left" in run(io.StringIO(), clock, steps=20, until=20)


def test_no_time_between_steps_is_no_division_by_zero(clock):
  assert "step 20/100" in run(io.StringIO(), clock, seconds=0.0)


def test_a_terminal_gets_a_bar_and_no_lines_between(clock):
  text = run(Terminal(), clock, until=50)
  assert "\r" in text and "50/100" in text and "50%" in text
  assert "images/s" in text and "D 1.250 G 0.500" in text
  assert not re.search(r"^step ", text, re.MULTILINE)


def test_the_bar_of_a_continued_run_starts_where_the_run_stands():
  stream = Terminal()
  with RunProgress(100, 40, 64, stream):
    pass
  assert "40/100" in stream.getvalue() and " 0/100" not in stream.getvalue()


def test_the_bar_says_that_the_first_step_is_compiled_until_it_is_made(clock):
  stream = Terminal()
  run(stream, clock)
  before, _, after = stream.getvalue().partition("20/100")
  assert "compiling" in before and "compiling" not in after


def count(stream, clock):
  """1,000 images, of which 200 were done, at 10 a second in parts of 60."""
  with CountProgress("Decoding own", 1000, 200, "image", stream) as shown:
    for _ in range(2):
      clock[0] += 6.0
      shown.advance(60)


def test_what_is_counted_has_a_line_every_ten_seconds(clock):
  stream = io.StringIO()
  count(stream, clock)
  assert stream.getvalue() == ("Decoding own: 320 of 1,000 images  10 images/s  01:08 left\n")


def test_what_is_counted_has_a_bar_on_a_terminal(clock):
  stream = Terminal()
  count(stream, clock)
  assert "Decoding own" in stream.getvalue() and "1000" in stream.getvalue()
  assert "images/s  " not in stream.getvalue()


def shown_at(clock, shown, calls):
  """Numbers of the lines that are printed, of the steps told at these seconds."""
  for seconds, call, step in calls:
    clock[0] = 100.0 + seconds
    getattr(shown, call)(record(step))


def steps_of(stream):
  return [int(step) for step in re.findall(r"step (\d+)", stream.getvalue())]


def test_pictures_that_come_fast_have_a_line_every_ten_seconds_and_the_last(clock):
  stream = io.StringIO()
  with RunProgress(100, 0, 64, stream) as shown:
    shown_at(clock, shown, [(second, "report", 4 * second) for second in range(1, 26)])
  assert steps_of(stream) == [4, 44, 84, 100]


def test_a_run_that_draws_seldom_has_a_line_a_minute(clock):
  stream = io.StringIO()
  with RunProgress(1000, 0, 64, stream) as shown:
    shown_at(clock, shown, [(second, "show", second) for second in range(10, 200, 10)])
  assert steps_of(stream) == [60, 120, 180]


def test_a_sweep_has_as_few_lines(clock):
  stream = io.StringIO()
  with progress.SweepProgress(200, stream) as shown:
    shown.begin(["first", "second"], 0)
    for second in range(1, 26):
      shown.advance(4)
      shown_at(clock, shown, [(second, "report", 4 * second)])
  assert steps_of(stream) == [4, 44, 84, 100]


@pytest.mark.parametrize("of_a_sweep", [False, True])
def test_before_anything_is_done_the_time_left_is_not_known(clock, of_a_sweep):
  stream = io.StringIO()
  if of_a_sweep:
    shown = progress.SweepProgress(100, stream)
    shown.begin(["first"], 0)
    shown.report(record(0))
  else:
    shown = CountProgress("reading", 100, 0, "image", stream)
    clock[0] += 20
    shown.advance(0)
  assert stream.getvalue().rstrip().endswith("? left")
