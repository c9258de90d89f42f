"""Lines are named where they end, and no name lies on another."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from gan.report.line_names import GAP, name_lines, spread


@pytest.mark.parametrize(
  "places, expected",
  [
    ([0.0, 20.0], [0.0, 20.0]),  # far apart
    ([5.0, 5.0], [0.0, 10.0]),  # each moves as far as the other
    ([7.0, 3.0], [10.0, 0.0]),  # their order stays
    ([0.0, 0.0, 0.0, 100.0], [-10.0, 0.0, 10.0, 100.0]),
    # (0, 6) move to (-2, 8), which is on 16: all three then, their mean as it was.
    ([0.0, 6.0, 16.0], [-8 / 3, 22 / 3, 52 / 3]),
  ],
)
def test_places_that_are_too_near_move_as_little_as_they_can(places, expected):
  np.testing.assert_allclose(spread(np.array(places), 10.0), expected)


def test_names_of_lines_that_end_together_stand_beside_the_panel_and_apart():
  figure = Figure(figsize=(7, 3), layout="constrained")
  axes = figure.subplots()
  for name in ("upper", "lower"):
    axes.plot([0, 1], [0, 1], label=name)
  axes.plot([0, 1, 2], [0, 0.5, np.nan], label="ends sooner")
  axes.plot([0, 1], [1, 0])  # without a label
  name_lines(axes)
  figure.draw_without_rendering()
  # Without their threads.
  boxes = {text.get_text(): Text.get_window_extent(text) for text in axes.texts}
  assert set(boxes) == {"upper", "lower", "ends sooner"}
  frame = axes.get_window_extent()
  assert all(frame.x1 < box.x0 and box.x1 < figure.bbox.x1 for box in boxes.values())
  middles = sorted((box.y0 + box.y1) / 2 for box in boxes.values())
  assert (np.diff(middles) > 0.9 * GAP * figure.dpi / 72).all()
