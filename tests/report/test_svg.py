"""Figures as SVG, the colours of light and dark pages, and the list of contents."""

import re
import time

import numpy as np
import pytest
from fake_studies import write_run
from matplotlib.figure import Figure

from gan.report import contents, page, plots, study, svg
from gan.report.analysis import analyse


def drawn(texts):
  def draw():
    figure, axes = plots.one_panel(plots.WIDE)
    plots.draw_points(axes, [(0.0, 1.0), (0.5, 2.0)], texts, "o", plots.COLOURS[0])
    axes.set(xlim=(0, 1), title="a < 0.123456")
    return figure

  return svg.from_figure(plots.render(draw), "name")


def test_each_point_has_its_text_and_numbers_have_few_digits():
  root = drawn(["first & one", "second"])
  marks = [use for use in root.iter("use") if use.find("title") is not None]
  assert [use.find("title").text for use in marks] == ["first & one", "second"]
  assert float(marks[0].get("x")) < float(marks[1].get("x"))
  assert all(len(number) <= 2 for path in root.iter("path") for number in digits(path.get("d")))
  assert "a < 0.123456" in [text.text for text in root.iter("text")]


def digits(text):
  return re.findall(r"\.(\d+)", text)


def test_texts_that_fit_no_points_are_left_out():
  assert drawn(["one", "two", "three"]).find(".//title") is None


def test_identifiers_follow_from_the_name_and_every_use_has_one():
  root = drawn(["one", "two"])
  ids = {element.get("id") for element in root.iter() if element.get("id")}
  assert ids and {use.get("href")[1:] for use in root.iter("use")} <= ids
  other = svg.from_figure(plots.render(lambda: plots.one_panel(plots.WIDE)[0]), "other")
  assert not ids & {element.get("id") for element in other.iter()}


def luminance(colour):
  """By https://www.w3.org/TR/WCAG22/#dfn-relative-luminance."""
  share = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
  linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
  return linear @ (0.2126, 0.7152, 0.0722)


def contrast(first, second):
  low, high = sorted(luminance(colour) for colour in (first, second))
  return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colours", [plots.LIGHT, plots.DARK])
def test_every_part_stands_out_from_its_paper(colours):
  assert contrast("#000000", "#ffffff") == pytest.approx(21)
  paper = colours["paper"]
  assert contrast(colours["ink"], paper) > 7
  assert 1.3 < contrast(colours["lines"], paper) < 3
  for i in range(plots.MOST_IN_ONE):
    assert contrast(colours[f"series-{i}"], paper) > 2


def test_lines_that_end_apart_are_named_there_and_others_in_a_legend_outside():
  def draw(ends):
    figure, axes = plots.one_panel(plots.WIDE)
    for name, end in ends.items():
      axes.plot([0, 1], [0, end], label=name)
    plots.legend(figure, axes, plots.WIDE)
    plots.finish(figure, "x", "y")
    return figure

  apart = plots.render(lambda: draw({"low": 1.0, "high": 9.0}))
  assert not apart.legends and [t.get_text() for t in apart.axes[0].texts] == ["low", "high"]
  close = plots.render(lambda: draw({"low": 8.9, "high": 9.0}))
  (legend,) = close.legends
  close.draw_without_rendering()
  assert not legend.get_window_extent().overlaps(close.axes[0].get_window_extent())


def test_legends_are_moved_below_what_stands_under_their_panels():
  def draw():
    figure = Figure(figsize=(8, 3), layout="constrained")
    for axes in figure.subplots(1, 2):
      axes.plot([0, 1], label="rising")
      axes.set_xlabel("x")
      axes.legend(title="lines")
    plots.legends_below(figure)
    return figure

  figure = plots.render(draw)
  figure.draw_without_rendering()
  for axes in figure.axes:
    top = axes.get_legend().get_window_extent().y1
    assert top <= axes.xaxis.label.get_window_extent().y0 < axes.get_window_extent().y0
    assert axes.get_legend().get_title().get_text() == "lines"


def test_empty_columns_are_left_out_and_figures_of_one_part_are_one_section():
  table = {"title": "a", "head": ["x", "y", "z"], "rows": [{"cells": ["1", "", 0]}] * 2}
  names = [("one", ""), ("two", "both"), ("three", "both")]
  figures = [{"title": name, "part": part, "caption": "c"} for name, part in names]
  found = contents.parts([], figures, [table])
  assert found["tables"][0]["head"] == ["x", "z"] and found["tables"][0]["rows"][0]["cells"] == [
    "1",
    0,
  ]
  assert [entry["title"] for entry in found["contents"]] == ["one", "both", contents.FOOT]


@pytest.mark.slow
def test_the_page_of_a_thousand_runs_is_small(tmp_path):
  for place in range(1000):
    loss, sample, seed = f"loss{place % 10}", place // 20, place // 10 % 2
    rng = np.random.default_rng([place % 10, sample])  # seeds of a sample share their setting
    fields = {"generator_learning_rate": 10 ** rng.uniform(-5, -2), "b1": rng.uniform()}
    fields |= {"level": rng.lognormal(2), "steps": 200, "every": 20, "pictures": sample == 0}
    fields |= {"status": "finished" if rng.random() < 0.9 else "diverged at step 150"}
    write_run(tmp_path / f"{loss},sample={sample},seed={seed}", loss, seed, **fields)
  began = time.monotonic(), time.process_time()
  page.write(analyse(study.load([str(tmp_path)])), tmp_path / "page", lambda line: None)
  took = time.monotonic() - began[0], time.process_time() - began[1]
  size = (tmp_path / "page" / "report.html").stat().st_size
  print(f"{size / 1e6:.1f} MB in {took[0]:.0f} s, {took[1]:.0f} s of processor time")
  assert size < 15e6
