"""The comparison command as a user runs it, on run folders written in a moment."""

import csv
import html.parser
import re
import subprocess
import sys
import xml.etree.ElementTree

import numpy as np
import pytest
from conftest import ROOT
from fake_studies import write_run, write_sweep
from PIL import Image

from experiments import compare
from gan.report import plots

LOSSES = ("sat", "wgan", "nonsat")
# Imports of JAX and Flax fail under this.
WITHOUT_JAX = """
import sys

class Refuse:
  def find_spec(self, name, path=None, target=None):
    if name.split(".")[0] in ("jax", "jaxlib", "flax", "optax", "orbax"):
      raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Refuse())
from experiments import compare
sys.exit(compare.main(["compare", *sys.argv[1:]]))
"""


def command(*flags):
  return compare.main(["compare", *map(str, flags)])


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
  """A sweep with a run that diverged, one interrupted, one not begun; drawn."""
  folder = tmp_path_factory.mktemp("sweep")
  write_sweep(folder, LOSSES, 3, waiting=["hinge-seed=0"])
  write_run(folder / "members" / "wgan-seed=9", "wgan", 9, steps=20, status="diverged at step 25")
  write_run(folder / "members" / "sat-seed=9", "sat", 9, steps=30, status="interrupted")
  assert command(f"--workdir={folder}") == 0
  return folder


@pytest.fixture
def refused(tmp_path, capsys):
  """refused(*flags) is the one line with which the command refuses them."""

  def run(*flags):
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert command(*flags) == 2
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    return line

  return run


class Loads(html.parser.HTMLParser):
  """Collects what a page would load, its addresses and its text."""

  def __init__(self, text):
    super().__init__()
    self.sources, self.tags, self.links, self.ids, self.named, self.text = [], [], [], [], [], ""
    self.feed(text)

  def handle_starttag(self, tag, attrs):
    found = dict(attrs)
    self.tags.append(tag)
    self.sources += [found[name] for name in ("src", "srcset", "href", "data") if name in found]
    self.links += [found["href"]] if tag == "a" else []
    self.ids += [found["id"]] if "id" in found else []
    if tag in ("img", "svg"):
      self.named.append((tag, found.get("alt") or found.get("aria-label")))

  def handle_data(self, data):
    self.text += data


def page_of(folder):
  return Loads((folder / "report.html").read_text())


def rows_of(folder):
  with open(folder / "summary.csv", newline="") as file:
    return list(csv.DictReader(file))


# What is written.


def test_the_page_needs_nothing_else(sweep):
  page = page_of(sweep)
  assert all(source.startswith(("data:image/", "#")) for source in page.sources)
  assert not {"script", "link", "iframe"} & set(page.tags)
  assert "url(" not in (sweep / "report.html").read_text().split("</style>")[0]


def test_the_page_has_every_figure_in_both_widths_with_its_name(sweep):
  names = {path.stem for path in (sweep / "figures").glob("*.svg")}
  assert names == {
    *("metric_by_step", "metric_by_images", "metric_by_seconds", "last_and_best"),
    *("other_metrics", "probabilities", "discriminator_loss", "gradient_norms", "samples"),
  }
  page = page_of(sweep)
  # Samples are pictures as they are, one for each loss.
  assert [tag for tag, _ in page.named].count("svg") == 2 * (len(names) - 1)
  assert page.tags.count("img") == len(LOSSES) and all(name for _, name in page.named)


def test_samples_lead_then_the_table_then_what_is_shown_then_contents(sweep):
  text = page_of(sweep).text
  heads = ("Samples from the same", "Frechet distance up to", "What is shown", "Contents")
  places = [text.index(head) for head in (*heads, "last and best values")]
  assert places == sorted(places)


def test_addresses_in_the_page_lead_to_one_place_each(sweep):
  page = page_of(sweep)
  assert len(page.ids) == len(set(page.ids))
  assert {source[1:] for source in page.sources if source[0] == "#"} <= {*page.ids}
  titles = (sweep / "report.html").read_text().split("</nav>")[1].count("<h2")
  assert len(page.links) == titles == len(set(page.links)) > 5


def test_figures_of_one_caption_share_it(sweep):
  text = (sweep / "report.html").read_text()
  assert text.count("Lines: interquartile mean over seeds (of three, their mean)") == 1
  assert text.count("<h3>") == 4


def test_a_page_sets_every_colour_of_its_figures(sweep):
  figures = (sweep / "report.html").read_text().split("<svg")[1:]
  used = {name for each in figures for name in re.findall(r"var\(--([a-z0-9-]+)\)", each)}
  assert {"ink", "lines", "series-0", "series-2"} <= used <= {*plots.LIGHT}
  assert not [each for each in figures if re.search('#[0-9a-f]{6}[;"]', each.split("</svg>")[0])]


def test_points_and_curves_have_values_under_the_pointer(sweep):
  (row,) = [
    row for row in rows_of(sweep) if row["loss"] == "nonsat" and row["metric"] != "coverage"
  ]
  text = (sweep / "figures" / "last_and_best.svg").read_text()
  found = [float(v) for v in re.findall(r"<title>nonsat, seed \d: ([^<]*)</title>", text)]
  assert len(found) == 2 * 3 and np.median(found[:3]) == pytest.approx(
    float(row["last_median"]), rel=1e-3
  )
  curves = (sweep / "figures" / "metric_by_step.svg").read_text()
  assert re.findall(r"<title>nonsat: [^<]* at (\d+)</title>", curves) == ["10", "20", "30", "40"]


def test_every_figure_is_a_whole_png_and_svg(sweep):
  for path in (sweep / "figures").iterdir():
    if path.suffix == ".png":
      with Image.open(path) as picture:
        assert picture.convert("L").getextrema()[0] < 128
    else:
      assert xml.etree.ElementTree.parse(path).getroot().tag.endswith("svg")


def test_the_page_says_what_is_missing(sweep):
  text = page_of(sweep).text
  assert "11 runs, 9 finished, 1 interrupted, 1 diverged, 1 not started" in text
  assert "1 of 4" in text  # divergence in the table
  for part in ("not finished", "hinge-seed=0", "wgan-seed=9 at step 25", "wgan-seed=9 (step 20)"):
    assert part in text


def test_the_foot_says_what_it_was_made_from(sweep):
  text = page_of(sweep).text
  for part in (
    "python -m experiments.sweep --losses=sat,wgan,nonsat --seeds=3",
    "500 generated and 500 reference samples, extractor 6719f55dfab5",
    "0, 1, 2, 9",
    "one update of G and 1 of D, each on 64 real images",
    "jax 0.10.2",
    "2 x CPU; cpu: cpu:0",
    "digits train: 1500 examples, bundled",
  ):
    assert part in text


def test_the_terminal_has_the_numbers_of_the_csv(sweep, tmp_path, capsys):
  assert command(f"--workdir={sweep}", f"--outdir={tmp_path}") == 0
  title, head, *lines = capsys.readouterr().out.split("\n\n")[0].splitlines()
  assert title == "frechet_distance, last and best up to step 30" and head.startswith("loss")
  rows = {row["loss"]: row for row in rows_of(tmp_path) if row["metric"] == "frechet_distance"}
  assert [line.split()[0] for line in lines] == ["nonsat", "wgan", "sat"]
  for line in lines:
    loss, seeds, diverged, _, runs, *numbers = line.replace(" to ", " ").split()
    row = rows[loss]
    assert (seeds, diverged, runs) == (row["seeds"], row["diverged"], row["members"])
    expected = [
      row[f"{kind}_{statistic}{end}"]
      for kind in ("last", "best")
      for statistic in ("median", "iqm")
      for end in ("", "_low", "_high")
    ]
    assert [float(number) for number in numbers] == pytest.approx(
      [float(number) for number in expected], rel=1e-3
    )


def test_the_csv_has_the_medians_of_the_records(sweep):
  row = next(row for row in rows_of(sweep) if row["loss"] == "nonsat")
  values = []
  for seed in range(3):
    lines = (sweep / "members" / f"nonsat-seed={seed}" / "evaluations.jsonl").read_text()
    values.append(float(lines.splitlines()[2].split('"frechet_distance": ')[1].split(",")[0]))
  assert row["up_to_step"] == "30" and float(row["last_median"]) == pytest.approx(np.median(values))


def test_equal_records_give_equal_bytes(tmp_path):
  write_sweep(tmp_path / "sweep", ("nonsat",), 1)
  for name in ("first", "second"):
    assert command(f"--workdir={tmp_path / 'sweep'}", f"--outdir={tmp_path / name}") == 0
  contents = [
    {path.relative_to(tmp_path / name): path.read_bytes() for path in files_in(tmp_path / name)}
    for name in ("first", "second")
  ]
  assert len(contents[0]) > 15 and contents[0] == contents[1]


def files_in(folder):
  return [path for path in folder.rglob("*") if path.is_file()]


def test_a_second_time_the_page_in_the_sweep_is_replaced(tmp_path):
  write_run(tmp_path / "run", values={}, pictures=False)
  assert command(f"--workdir={tmp_path}") == command(f"--workdir={tmp_path}") == 0
  assert not list(tmp_path.rglob("*.part"))


def test_a_grid_has_all_settings_in_the_tables_and_a_figure_for_each_field(tmp_path, capsys):
  for rate in (1e-5, 1e-4, 1e-3):
    for norm in (None, "batch"):
      fields = {"generator_learning_rate": rate, "discriminator_norm": norm}
      folder = tmp_path / f"{rate}-{norm}"
      write_run(folder, values={"frechet_distance": [rate * 1e5]}, pictures=False, **fields)
  assert command(f"--workdir={tmp_path}") == 0
  assert len(capsys.readouterr().out.split("\n\n")[0].splitlines()) == 2 + 6
  rows = rows_of(tmp_path)
  assert len(rows) == 6 and [row["chosen"] for row in rows].count("yes") == 1
  assert {row["generator_learning_rate"] for row in rows} == {"1e-05", "0.0001", "0.001"}
  assert {row["discriminator_norm"] for row in rows} == {"none", "batch"}
  names = {path.name for path in (tmp_path / "figures").glob("sensitivity_*.png")}
  assert names == {
    "sensitivity_discriminator_norm.png",
    "sensitivity_generator_learning_rate.png",
  }


def test_of_many_settings_the_table_shows_the_best_of_each_loss(tmp_path, capsys):
  for i in range(26):
    folder = tmp_path / str(i)
    values = {"frechet_distance": [30.0 - i]}
    write_run(folder, values=values, pictures=False, steps=10, generator_learning_rate=1e-4 + i)
  assert command(f"--workdir={tmp_path}") == 0
  _, _, line = capsys.readouterr().out.split("\n\n")[0].splitlines()
  assert line.split()[:2] == ["nonsat", "25"] and len(rows_of(tmp_path)) == 26


def test_training_records_alone_are_drawn(tmp_path, capsys):
  write_run(tmp_path / "run", values={}, pictures=False, status="running")
  assert command(f"--workdir={tmp_path}") == 0
  assert "No run has been evaluated" in capsys.readouterr().out
  names = {path.stem for path in (tmp_path / "figures").glob("*.png")}
  assert names == {"probabilities", "discriminator_loss", "gradient_norms"}
  assert (tmp_path / "summary.csv").read_text() == "loss,metric\n"


def test_evaluations_without_a_finite_value_make_a_page(tmp_path):
  write_run(tmp_path / "run", values={"reverse_kl": [float("inf")]}, pictures=False)
  assert command(f"--workdir={tmp_path}") == 0
  assert rows_of(tmp_path)[0]["last_median"] == "inf"


def test_a_metric_can_be_chosen(tmp_path):
  write_run(tmp_path / "run", pictures=False)
  assert command(f"--workdir={tmp_path}", "--metric=coverage") == 0
  assert "Coverage up to step 40, higher is better" in page_of(tmp_path).text


def test_what_stands_in_records_is_text_on_the_page(tmp_path):
  write_run(tmp_path / "<b>run", "<script>", values={}, pictures=False, status="interrupted")
  assert command(f"--workdir={tmp_path}") == 0
  page = page_of(tmp_path)
  assert "script" not in page.tags and "<script>" in page.text


# Without JAX.


def test_it_runs_where_jax_is_not_installed(tmp_path):
  write_sweep(tmp_path, ("nonsat",), 1, steps=10, every=5)
  result = subprocess.run(
    [sys.executable, "-c", WITHOUT_JAX, f"--workdir={tmp_path}"],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
    timeout=120,
  )
  assert result.returncode == 0, result.stderr
  assert (tmp_path / "report.html").exists()


# Bad input.


def test_a_missing_folder_is_refused(refused, tmp_path):
  assert "--workdir is missing" in refused()
  assert "is no folder" in refused(f"--workdir={tmp_path / 'nowhere'}")
  assert "has no run in it" in refused(f"--workdir={tmp_path}")


def test_nothing_to_compare_is_refused(refused, tmp_path):
  write_run(tmp_path / "run", steps=0, status=None, pictures=False)
  assert "has a record to compare yet" in refused(f"--workdir={tmp_path}")


def test_an_unknown_metric_is_refused_with_the_list(refused, tmp_path):
  write_run(tmp_path / "run", pictures=False)
  line = refused(f"--workdir={tmp_path}", "--metric=nosuch")
  assert "--metric=nosuch" in line and "choose from frechet_distance, coverage" in line


def test_a_metric_where_nothing_was_evaluated_is_refused(refused, tmp_path):
  write_run(tmp_path / "run", values={}, pictures=False)
  line = refused(f"--workdir={tmp_path}", "--metric=coverage")
  assert "no run has an evaluation yet" in line


def test_studies_that_differ_are_refused(refused, tmp_path):
  write_run(tmp_path / "a", model="mlp", pictures=False)
  write_run(tmp_path / "b", model="dcgan", pictures=False)
  line = refused(f"--workdir={tmp_path / 'a'},{tmp_path / 'b'}")
  assert "model: mlp there, dcgan here" in line


def test_damaged_records_are_refused(refused, tmp_path):
  write_run(tmp_path / "run", pictures=False)
  (tmp_path / "run" / "metrics.jsonl").write_text("damaged\n")
  assert "metrics.jsonl is damaged in line 1" in refused(f"--workdir={tmp_path}")


def test_where_nothing_can_be_written_it_is_refused(refused, tmp_path):
  write_run(tmp_path / "run", pictures=False)
  (tmp_path / "file").write_text("mine")
  (tmp_path / "figures").write_text("mine")
  for path in ("file", "file/below", "."):
    flags = (f"--workdir={tmp_path / 'run'}", f"--outdir={tmp_path / path}")
    assert "cannot be written to" in refused(*flags)


def test_help_lists_every_flag(capsys):
  assert command("--help") == 0
  text = capsys.readouterr().out
  assert all(f"--{name}" in text for name in ("workdir", "metric", "outdir"))


def test_folders_of_runs_with_commas_in_their_names_are_found(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  for name in ("a", "b,seed=0", "c,b1=0.5,seed=1"):
    (tmp_path / name).mkdir()
  assert compare.split_folders("b,seed=0") == ["b,seed=0"]
  assert compare.split_folders("a,c,b1=0.5,seed=1,b,seed=0") == ["a", "c,b1=0.5,seed=1", "b,seed=0"]
  assert compare.split_folders("a,missing,") == ["a", "missing"]
