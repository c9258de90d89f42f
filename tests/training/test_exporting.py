"""Exports of runs: read back against the live generator, drawn from, and refused in one line."""

import json
import sys

import jax
import jax.export
import numpy as np
import pytest

import gan
from experiments import export, mnist, ring
from gan.errors import UserError
from gan.system import tensors
from gan.training import exported, exporting, model_card, restore
from gan.training.plain_program import without_platforms

QUICK = ("--parallel=none", "--batch_size=8", "--eval_every=0", "--steps=2", "--seed=3")
QUICK += ("--split=train[:100]",)
RUNS = {
  "labels": (mnist.main, ("--dataset=digits", "--model=mlp", "--conditional")),
  "convolutions": (mnist.main, ("--dataset=digits", "--model=dcgan", "--width=4")),
  "points": (ring.main, ("--width=4",)),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
  """The folder of a run of each kind."""
  folder = tmp_path_factory.mktemp("runs")
  for name, (main, flags) in RUNS.items():
    assert main(["train", *QUICK, *flags, f"--workdir={folder / name}"]) == 0
  return folder


@pytest.fixture(scope="module")
def exports(runs):
  """The folder of each run as StableHLO."""
  pytest.importorskip("flatbuffers", reason="flatbuffers is of the extra `export`")
  for name in RUNS:
    flags = [f"--workdir={runs / name}", f"--out={runs / 'exports' / name}"]
    assert export.main(["export", *flags]) == 0
  return runs / "exports"


@pytest.mark.parametrize("name", RUNS)
def test_an_export_draws_the_samples_of_the_run(runs, exports, name):
  run, found = gan.load(runs / name), gan.load(exports / name)
  count, key = 7, jax.random.key(5)
  drawn = found.sample(count, key)
  expected = run.sample(count, key)
  assert drawn.shape == expected.shape and drawn.dtype == expected.dtype
  tolerance = 1e-6 if name == "points" else 1  # a rounding to the other of two levels
  np.testing.assert_allclose(drawn.astype(float), expected.astype(float), atol=tolerance)
  assert "step 2" in repr(found)


def test_labels_of_an_export_are_read_and_checked(runs, exports):
  run, found = gan.load(runs / "labels"), gan.load(exports / "labels")
  key, labels = jax.random.key(0), np.array([3, 3, 9])
  expected = run.sample(3, key, labels).astype(int)
  np.testing.assert_allclose(found.sample(3, key, labels).astype(int), expected, atol=1)
  with pytest.raises(UserError, match="labels must be 3 integers 0 .. 9"):
    found.sample(3, key, np.array([3, 3, 10]))
  with pytest.raises(UserError, match="labels are for a conditional run"):
    gan.load(exports / "points").sample(3, key, labels)


def test_a_sample_of_an_export_depends_on_its_place_alone(exports, monkeypatch):
  found, key = gan.load(exports / "points"), jax.random.key(1)
  whole = found.sample(7, key)
  monkeypatch.setattr("gan.training.sampling.BATCH_SIZE", 3)
  np.testing.assert_allclose(found.sample(7, key), whole, atol=1e-6)


def test_a_key_of_another_generator_of_numbers_is_refused(exports):
  with pytest.raises(UserError, match="key is of rbg: give one of threefry2x32"):
    gan.load(exports / "points").sample(3, jax.random.key(0, impl="rbg"))


def test_a_program_has_the_form_of_each_platform_and_any_batch(exports):
  content = (exports / "convolutions" / exported.GENERATOR).read_bytes()
  program = jax.export.deserialize(bytearray(content))
  assert program.platforms == ("cpu", "cuda", "tpu")
  (latents,) = program.in_avals
  assert str(latents.shape[0]) == "batch"
  # The forms of the layers that platforms differ in: one is chosen as the program is compiled.
  assert "stablehlo.case" in program.mlir_module()


@pytest.mark.parametrize("form", ["stablehlo", "safetensors"])
def test_what_was_written_is_compared_with_the_run(runs, tmp_path, capsys, form):
  pytest.importorskip("flatbuffers", reason="flatbuffers is of the extra `export`")
  flags = [f"--workdir={runs / 'labels'}", f"--format={form}", f"--out={tmp_path / 'out'}"]
  assert export.main(["export", *flags, "--weights=raw"]) == 0
  out, line = capsys.readouterr().out.splitlines()
  assert out == str(tmp_path / "out")
  assert line.startswith("greatest difference from the run, 16 samples: ")
  assert float(line.split(": ")[1].split(" of ")[0]) < 1e-5
  assert json.loads((tmp_path / "out" / "export.json").read_text())["weights"] == "raw"


def test_a_difference_is_seen(runs):
  run = restore.load(runs / "points")
  back = exporting.generator(run)
  assert exporting.greatest_error(run, back) < 1e-6
  assert exporting.greatest_error(run, lambda latents: back(latents) + 0.5) == pytest.approx(0.5)


def test_weights_have_the_names_of_their_places(runs, tmp_path):
  flags = [f"--workdir={runs / 'convolutions'}", "--format=safetensors", f"--out={tmp_path / 'a'}"]
  assert export.main(["export", *flags]) == 0
  read = tensors.read(tmp_path / "a" / exporting.TENSORS)
  params = restore.load(runs / "convolutions").state.ema_params
  layer = next(iter(params))
  leaf = next(iter(params[layer]))
  np.testing.assert_array_equal(read[f"params/{layer}/{leaf}"], params[layer][leaf])


def test_onnx_is_run_and_compared(runs, tmp_path, capsys):
  pytest.importorskip("jax2onnx", reason="jax2onnx is not installed")
  for name in RUNS:
    flags = [f"--workdir={runs / name}", "--format=onnx", f"--out={tmp_path / name}"]
    assert export.main(["export", *flags]) == 0
    error = capsys.readouterr().out.split("16 samples: ")[1].split(" of ")[0]
    assert float(error) < 1e-5


def test_a_program_without_platforms_computes_the_default(runs):
  run = restore.load(runs / "convolutions")
  plain = without_platforms(exporting.generator(run))
  latents = exporting.examples(run)
  names = str(jax.make_jaxpr(plain)(*latents))
  assert "platform_index" in str(jax.make_jaxpr(exporting.generator(run))(*latents))
  assert "platform_index" not in names and "custom_vjp" not in names
  np.testing.assert_allclose(plain(*latents), exporting.generator(run)(*latents), atol=1e-6)


def test_the_card_says_what_it_is_and_its_lines_run(runs, exports, monkeypatch):
  card = (exports / "labels" / "README.md").read_text()
  for text in ("digits, train[:100], 100 examples", "| loss | nonsat |", "| network | mlp |"):
    assert text in card
  for text in ("| steps | 2 |", "| seed | 3 |", "jax 0.", "None were recorded.", "## Licence"):
    assert text in card
  assert "labels [B] int32) -> float32 [B, 28, 28, 1], images in [-1, 1]" in card
  (code,) = [part.split("```")[0] for part in card.split("```python\n")[1:]]
  monkeypatch.chdir(exports / "labels")
  found = {}
  exec(code.split("\n\n")[0], found)
  assert found["images"].shape == (16, 28, 28, 1)


def refused(capsys, *flags):
  capsys.readouterr()
  assert export.main(["export", *flags]) == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert line.startswith("error: ")
  return line


def test_a_folder_of_something_else_is_left_alone(runs, tmp_path, capsys):
  (tmp_path / "mine.txt").write_text("mine")
  flags = (f"--workdir={runs / 'points'}", "--format=safetensors", f"--out={tmp_path}")
  assert f"{tmp_path} is there already: name a new folder" in refused(capsys, *flags)
  assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
  ("flags", "line"),
  [
    ((), "--workdir is missing"),
    (("--workdir=nowhere",), "--out is missing"),
    (("--workdir=nowhere", "--out=out"), "nowhere is not a run folder"),
    (("--workdir=nowhere", "--out=out", "--format=torch"), "--format=torch"),
  ],
)
def test_what_is_missing_is_one_line(capsys, flags, line):
  assert line in refused(capsys, *flags)


@pytest.mark.parametrize(
  ("form", "package", "line"),
  [
    ("stablehlo", "flatbuffers", "StableHLO needs flatbuffers: pip install 'gan-jax[export]'"),
    ("onnx", "jax2onnx", "ONNX needs jax2onnx: pip install 'gan-jax[export]'"),
  ],
)
def test_a_missing_package_is_one_line_and_leaves_nothing(
  runs, tmp_path, capsys, monkeypatch, form, package, line
):
  monkeypatch.setitem(sys.modules, package, None)
  flags = (f"--workdir={runs / 'points'}", f"--format={form}", f"--out={tmp_path / 'out'}")
  assert line in refused(capsys, *flags)
  assert not [*tmp_path.iterdir()]


def test_an_operation_that_a_form_lacks_is_one_line(runs, tmp_path, monkeypatch, capsys):
  pytest.importorskip("flatbuffers", reason="flatbuffers is of the extra `export`")

  def fails(function, **options):
    raise NotImplementedError("no rule for `sort`\nand more lines")

  monkeypatch.setattr(jax.export, "export", fails)
  line = refused(capsys, f"--workdir={runs / 'points'}", f"--out={tmp_path / 'out'}")
  assert "cannot be written as StableHLO: no rule for `sort`; choose another --format" in line


def test_an_export_of_weights_alone_is_not_drawn_from(runs, tmp_path):
  flags = [f"--workdir={runs / 'points'}", "--format=safetensors", f"--out={tmp_path / 'a'}"]
  assert export.main(["export", *flags]) == 0
  with pytest.raises(UserError, match="is an export as safetensors, which has no program for JAX"):
    gan.load(tmp_path / "a")


@pytest.mark.parametrize("damage", [b"", b"\0" * 40, None])
def test_a_damaged_export_is_one_line(exports, tmp_path, damage):
  for path in (exports / "points").iterdir():
    (tmp_path / path.name).write_bytes(path.read_bytes())
  other = exports / "convolutions" / exported.GENERATOR
  (tmp_path / exported.GENERATOR).write_bytes(other.read_bytes() if damage is None else damage)
  with pytest.raises(UserError, match="is not as it was written: export the run again"):
    gan.load(tmp_path)
  if damage is not None:
    with pytest.raises(UserError, match=r"generator.stablehlo is damaged \(.*export the run again"):
      exported.program(tmp_path / exported.GENERATOR)


def test_an_export_has_one_step_and_no_game(exports):
  with pytest.raises(UserError, match="is an export, of one step and without a game"):
    gan.load(exports / "points", step=2)


@pytest.mark.parametrize("name", RUNS)
def test_a_folder_for_a_hub_is_the_run(runs, tmp_path, name):
  flags = [f"--workdir={runs / name}", "--format=hub", f"--out={tmp_path / 'hub'}"]
  assert export.main(["export", *flags]) == 0
  run, found = gan.load(runs / name), gan.load(tmp_path / "hub")
  for weights in ("ema", "raw"):
    drawn = found.sample(7, jax.random.key(5), weights=weights)
    np.testing.assert_array_equal(drawn, run.sample(7, jax.random.key(5), weights=weights))
  assert found.config == run.config and found.summary == run.summary and found.state.step == 2
  there, here = (it.state.discriminator for it in (run, found))
  jax.tree.map(np.testing.assert_array_equal, here.params, there.params)
  assert {path.name for path in (tmp_path / "hub").iterdir()} == {
    "README.md",
    "config.json",
    "export.json",
    "model.safetensors",
    "samples.png",
    "summary.json",
  }


def test_a_folder_for_a_hub_has_one_step_and_is_checked(runs, tmp_path):
  flags = [f"--workdir={runs / 'points'}", "--format=hub", f"--out={tmp_path / 'hub'}"]
  assert export.main(["export", *flags]) == 0
  assert gan.load(tmp_path / "hub", step=2).state.step == 2
  with pytest.raises(UserError, match="is an export, of step 2 alone: leave out `step`"):
    gan.load(tmp_path / "hub", step=1)
  with open(tmp_path / "hub" / exported.MODEL, "r+b") as file:
    file.seek(-1, 2)
    file.write(b"\1")
  with pytest.raises(UserError, match="is not as it was written: export the run again"):
    gan.load(tmp_path / "hub")


def test_the_card_of_a_hub_has_its_metadata_and_counts(runs):
  yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
  run = restore.load(runs / "labels")
  facts = model_card.facts(run, "hub", {"weights": "ema"}, 64)
  summary = {"evaluation": {"frechet: x": {"last": [2, 1.5], "best": [1, 1.25]}}}
  counts = {"eval_samples": 2000, "reference_samples": 50, "split": "train", "extractor": "digits"}
  record = {"num_examples": 100, "source": "digits"}
  text = model_card.write(facts, record, summary, [counts])
  assert "license: add the identifier of yours" in text and "![Samples" in text
  assert "Of 2,000 samples, 50 examples beside them, split train, features of digits." in text
  found = yaml.safe_load(text.split("---\n")[1])
  assert found["library_name"] == "gan-jax" and "license" not in found
  assert found["tags"] == ["gan", "jax", "flax", "nonsat", "mlp"]
  ((result,),) = (each["results"] for each in found["model-index"])
  assert result["dataset"] == {"name": "digits", "type": "digits"}
  assert result["metrics"] == [{"type": "frechet: x", "name": "frechet: x, step 2", "value": 1.5}]
  bare = yaml.safe_load(model_card.write(facts, record, None).split("---\n")[1])
  assert "model-index" not in bare
