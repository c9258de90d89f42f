"""What a part costs in a step: turns by hand, and names."""

import itertools

import pytest

from experiments.benchmark import parts
from gan.training.config import Config
from gan.training.validation import validate


def test_sides_take_turns_and_the_first_is_not_timed():
  done, now = [], itertools.accumulate([0, 50, 0, 60, 0, 4, 0, 8, 0, 6, 0, 10])
  own, beside = parts.times(
    lambda count: done.append(("one", count)),
    lambda count: done.append(("other", count)),
    turns=2,
    steps=2,
    clock=lambda: next(now),
  )
  assert (own, beside) == ([2, 3], [4, 5])
  assert done == [("one", 2), ("other", 2)] * 3


@pytest.mark.parametrize("part", parts.PARTS.values(), ids=parts.PARTS)
def test_both_sides_are_configs(part):
  for fields in (part.beside, part.fields):
    validate(Config(model="resnet", **fields))


def test_an_unknown_part_is_one_line(capsys):
  assert parts.main(["parts", "--parts=nosuch"]) == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert "'nosuch' is unknown: choose from ada, approx_r1r2" in line
