"""What a search tells: closed forms, hand counts, and which runs are its draws."""

import itertools
import math

import numpy as np
import pytest
from fake_studies import write_run

from gan.report import figures, plots, search_figures, searches, study, svg, words
from gan.report.analysis import analyse
from gan.training.run_folder import write_json


def every_subset(values, k):
  return np.mean([min(chosen) for chosen in itertools.combinations(values, k)])


def test_the_expected_minimum_is_the_mean_over_all_subsets():
  values = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0]
  expected = [every_subset(values, k) for k in range(1, 7)]
  np.testing.assert_allclose(searches.expected_minimum(sorted(values)), expected, rtol=1e-12)
  assert searches.expected_minimum([2.0]) == [2.0]


def test_the_expected_minimum_of_equally_spaced_values_is_known():
  # k of 1..n without replacement: E min = (n + 1) / (k + 1), also where C(n, k) overflows.
  n = 2000
  budget = np.arange(1, n + 1)
  found = searches.expected_minimum(np.arange(1.0, n + 1))
  np.testing.assert_allclose(found, (n + 1) / (budget + 1), rtol=1e-9)


@pytest.mark.parametrize(
  ("draw", "law"),
  [
    (lambda rng, size: rng.uniform(size=size), lambda k: 1 / (k + 1)),
    (lambda rng, size: rng.exponential(size=size), lambda k: 1 / k),
  ],
  ids=["uniform", "exponential"],
)
def test_over_searches_the_curve_is_the_expectation_of_the_law(draw, law):
  # The curve is unbiased: its mean over 4,000 searches of 12 draws is E min of k draws of the law.
  values = draw(np.random.default_rng(0), (4000, 12))
  curves = np.array([searches.expected_minimum(np.sort(row)) for row in values])
  error = curves.std(axis=0) / math.sqrt(len(curves))
  assert (np.abs(curves.mean(axis=0) - law(np.arange(1, 13))) < 4 * error).all()


def test_a_diverged_setting_counts_as_soon_as_it_may_be_the_only_one():
  found = searches.expected_minimum([1.0, 4.0, math.inf, math.inf])
  # Of the four triples two hold 1 and 4, one only 1 and one only 4 beside both infinite ones.
  np.testing.assert_allclose(found, [math.inf, math.inf, (1 + 1 + 1 + 4) / 4, 1.0])
  low, high = searches.minimum_band([1.0, 4.0, math.inf, math.inf])
  assert low[0] == 1 and high[0] == math.inf and low[-1] == 1


def test_the_band_of_bootstrap_orders_has_the_quantiles_of_the_minimum():
  # P(min of k bootstrap draws of 1..n is above i) = (1 - i / n)^k.
  n, k = 50, 10
  low, high = searches.minimum_band(np.arange(1.0, n + 1))
  exact = [next(i for i in range(1, n + 1) if 1 - (1 - i / n) ** k >= p) for p in (0.025, 0.975)]
  assert (abs(low[k - 1] - exact[0]) <= 1) and abs(high[k - 1] - exact[1]) <= 2
  assert (np.diff(low) <= 0).all() and (np.diff(high) <= 0).all()


def test_probability_of_improvement_by_hand():
  first, second = np.array([1.0, 3.0, math.inf]), np.array([2.0, 3.0, math.inf])
  # 1 beats three; 3 ties 3 and beats inf; inf ties inf: (3 + 1.5 + 0.5) / 9.
  assert searches.probability_of_improvement(first, second) == pytest.approx(5 / 9)
  assert searches.probability_of_improvement(second, first) == pytest.approx(4 / 9)
  assert searches.improvement_interval(np.arange(3.0), np.arange(5.0, 9.0)) == (1.0, 1.0)
  low, high = searches.improvement_interval(first, second)
  assert 0 <= low < 5 / 9 < high <= 1


def test_performance_profiles_by_hand():
  values = {"a": np.array([1.0, 2.0, 2.0, math.inf]), "b": np.array([3.0])}
  places = searches.profile_thresholds(values)
  np.testing.assert_array_equal(places, [1, 2, 3])
  np.testing.assert_array_equal(
    searches.performance_profile(values["a"], places), [0.25, 0.75, 0.75]
  )
  np.testing.assert_array_equal(searches.performance_profile(values["b"], places), [0, 0, 1])


def test_equal_values_share_their_mean_rank():
  found = searches.ranks(np.array([[2.0, 1.0, 2.0], [math.inf, 1.0, math.inf]]))
  np.testing.assert_array_equal(found, [[2.5, 1, 2.5], [2.5, 1, 2.5]])


# Which runs are draws.


RATES = (2e-4, 1e-4, 1e-3, 1e-2)
ENDS = {"nonsat": (5.0, 1.0, 2.0, 9.0), "wgan": (5.0, 6.0, 3.0, 40.0)}


def write_search(folder, metric="frechet_distance", losses=ENDS, lost=()):
  for loss in losses:
    for i, (rate, end) in enumerate(zip(RATES, ENDS[loss], strict=True)):
      write_run(
        folder / f"{loss},sample={i},seed=0",
        loss,
        values={metric: [20.0, end]},
        pictures=False,
        status="diverged at step 25" if (loss, i) in lost else "finished",
        generator_learning_rate=rate,
      )
  return analyse(study.load([folder]))


def test_the_settings_of_a_search_are_its_draws(tmp_path):
  search = searches.search_of(write_search(tmp_path, lost={("wgan", 3)}))
  by_sample = {
    loss: {draw[1]: v for draw, v in found.items()} for loss, found in search.values.items()
  }
  assert by_sample["nonsat"] == dict(enumerate(ENDS["nonsat"]))
  assert by_sample["wgan"] == {0: 5.0, 1: 6.0, 2: 3.0, 3: math.inf}
  assert search.default("nonsat") == 5.0
  np.testing.assert_array_equal(sorted(map(tuple, search.paired()))[0], [1.0, 6.0])
  # First at the defaults is a tie; elsewhere nonsat leads.
  np.testing.assert_allclose(searches.ranks(search.paired()).mean(axis=0), [4.5 / 4, 7.5 / 4])


def test_a_metric_that_is_to_be_large_is_turned_around(tmp_path):
  analysis = write_search(tmp_path, metric="coverage")
  search = searches.search_of(analysis)
  assert search.sign == -1
  axes = plots.render(lambda: search_figures.budget(analysis, search, plots.WIDE)).axes[0]
  line = next(line for line in axes.lines if line.get_label() == "nonsat")
  assert line.get_ydata()[0] == pytest.approx(np.mean(ENDS["nonsat"]))
  assert line.get_ydata()[-1] == max(ENDS["nonsat"])
  axes = plots.render(lambda: search_figures.profile(analysis, search, plots.WIDE)).axes[0]
  line = next(line for line in axes.lines if line.get_label() == "nonsat")
  assert line.get_drawstyle() == "steps-post"  # a share holds from its value down to the next
  shares = dict(zip(*line.get_data(), strict=True))
  assert (shares[40.0], shares[9.0], shares[2.0], shares[1.0]) == (0, 0.25, 0.75, 1)


def test_figures_of_a_search_are_drawn_where_there_is_one(tmp_path):
  drawn = [d for d in figures.drawings(write_search(tmp_path / "a")) if d.name.startswith("search")]
  names = ["budget", "distribution", "profile", "improvement", "ranks"]
  assert [drawing.name for drawing in drawn] == [f"search_{name}" for name in names]
  for drawing in drawn:
    for size in (plots.WIDE, plots.NARROW):
      figure = plots.render(lambda d=drawing, s=size: d.draw(s))
      assert len(svg.from_figure(figure, drawing.name))
  alone = figures.drawings(write_search(tmp_path / "b", losses=["nonsat"]))
  alone = [d.name for d in alone if d.name.startswith("search")]
  assert alone == ["search_budget", "search_distribution", "search_profile"]


def test_losses_of_a_sequential_search_are_not_paired(tmp_path):
  write_search(tmp_path / "members", lost={("wgan", 0)})
  write_json(tmp_path / "sweep.json", {"members": [], "sampler": "tpe"})
  analysis = analyse(study.load([tmp_path]))
  search = searches.search_of(analysis)
  assert search.paired().shape == (0, 2)
  drawn = {d.name: d.caption for d in figures.drawings(analysis) if d.name.startswith("search")}
  assert list(drawn) == [
    f"search_{name}" for name in ("budget", "distribution", "profile", "improvement")
  ]
  assert all("no two losses share them" in caption for caption in drawn.values())
  # The best so far, in the order of the samples, without a band.
  axes = plots.render(lambda: search_figures.budget(analysis, search, plots.WIDE)).axes[0]
  line = next(line for line in axes.lines if line.get_label() == "wgan")
  np.testing.assert_array_equal(line.get_ydata(), [math.nan, 6.0, 3.0, 3.0])


def test_a_grid_is_no_search(tmp_path):
  for rate in RATES:
    write_run(
      tmp_path / f"nonsat,generator_learning_rate={rate},seed=0",
      pictures=False,
      generator_learning_rate=rate,
    )
  assert searches.search_of(analyse(study.load([tmp_path]))) is None


def write_halved(folder):
  """Six samples: three stopped at step 10 of 40, among them the lowest, one at 20, two finished."""
  ends = {10: [0.5, 8.0, 9.0], 20: [4.0], 40: [3.0, 2.0]}
  rates = iter((1e-5, 2e-5, 3e-5, 4e-5, 5e-5, 6e-5))
  samples = [(steps, end) for steps, found in ends.items() for end in found]
  for i, (steps, end) in enumerate(samples):
    write_run(
      folder / f"nonsat,sample={i},seed=0",
      values={"frechet_distance": [*[20.0] * (steps // 10 - 1), end]},
      steps=steps,
      config_steps=40,
      status="finished" if steps == 40 else f"stopped at step {steps}",
      pictures=False,
      generator_learning_rate=next(rates),
    )
  return analyse(study.load([folder]))


def test_a_stopped_setting_counts_and_is_never_before_one_that_went_further(tmp_path):
  analysis = write_halved(tmp_path)
  assert analysis.chosen["nonsat"] == (6e-5,)
  assert analysis.headline[0].step == 40
  search = searches.search_of(analysis)
  assert search.array("nonsat").tolist() == [0.5, 8.0, 9.0, 4.0, 3.0, 2.0]
  assert search.ordered("nonsat").tolist() == [2.0, 3.0, 4.0, 0.5, 8.0, 9.0]
  assert search.stopped == {"nonsat": 4}
  # (3 * 10 + 20 + 2 * 40) / 40 runs of full length for six samples.
  axes = plots.render(lambda: search_figures.budget(analysis, search, plots.WIDE)).axes[0]
  line = next(line for line in axes.lines if line.get_label() == "nonsat")
  np.testing.assert_allclose(line.get_xdata(), np.arange(1, 7) * 130 / 40 / 6)
  # One draw has the mean of all; of two the better of 15 pairs: 5 times 2, 4 times 3, ...
  two = (5 * 2 + 4 * 3 + 3 * 4 + 2 * 0.5 + 8) / 15
  np.testing.assert_allclose(line.get_ydata()[[0, 1, -1]], [26.5 / 6, two, 2.0])
  (note,) = [note for note in analysis.study.notes if "successive halving" in note]
  assert note.startswith("4 runs stopped early by successive halving")
  assert not any("earlier step" in note for note in words.notes(analysis))
