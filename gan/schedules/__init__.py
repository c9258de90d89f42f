"""How the numbers of a method change with the step: any hyper-parameter, by optax's schedules."""

from gan.schedules.published import PUBLISHED, goodfellow2014
from gan.schedules.scheduled import (
  RANGES,
  HyperSchedule,
  Scheduled,
  annealed,
  in_turn,
  make,
  make_schedule,
  out_of_range,
  range_of,
)
from gan.schedules.shapes import SCHEDULES, SPELLINGS, Entry
from gan.schedules.text import parse

__all__ = [
  "PUBLISHED",
  "RANGES",
  "SCHEDULES",
  "SPELLINGS",
  "Entry",
  "HyperSchedule",
  "Scheduled",
  "annealed",
  "goodfellow2014",
  "in_turn",
  "make",
  "make_schedule",
  "out_of_range",
  "parse",
  "range_of",
]
