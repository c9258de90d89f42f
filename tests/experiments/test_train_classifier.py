"""The command that trains extractors, in process and for one epoch."""

import numpy as np
import pytest

from experiments import train_classifier
from gan.metrics import extractors

LABELS = np.arange(40) % 4


@pytest.fixture(autouse=True)
def own_folders(monkeypatch, tmp_path):
  """No data of the machine's own, and nothing written outside of the test's folder."""
  monkeypatch.delenv("GAN_DATA_DIR", raising=False)
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
  monkeypatch.chdir(tmp_path)


def train(*flags):
  return train_classifier.main(["train_classifier", "--epochs=1", *flags])


def write(path, labels=LABELS, size=8, seed=0, **other):
  """An .npz of bright and dark images whose class can be learnt."""
  rng = np.random.default_rng(seed)
  noise = rng.integers(60, size=(len(LABELS), size, size))
  pixels = (noise + 60 * LABELS[:, None, None]).astype(np.uint8)
  arrays = {"train_images": pixels, "test_images": pixels[:12]}
  if labels is not None:
    arrays |= {"train_labels": labels, "test_labels": labels[:12]}
  np.savez(path, **arrays | other)
  return f"--data_dir={path}"


@pytest.fixture
def refused(capsys, tmp_path):
  """refused(*flags) is the one line with which the command refuses them; nothing is written."""

  def run(*flags):
    before = sorted(tmp_path.rglob("*"))
    assert train(*flags) == 2
    captured = capsys.readouterr()
    (line,) = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert captured.err.splitlines()[-1] == line and "Traceback" not in captured.err
    assert sorted(tmp_path.rglob("*")) == before
    return line

  return run


def test_equal_seeds_give_equal_files_and_another_seed_another(tmp_path, capsys):
  for name, seed in (("first", 1), ("second", 1), ("third", 2)):
    assert train("--dataset=digits", f"--seed={seed}", f"--out={tmp_path / name}") == 0
  content = [(tmp_path / name).read_bytes() for name in ("first", "second", "third")]
  assert content[0] == content[1] != content[2]
  extractor = extractors.load(tmp_path / "first")
  assert (extractor.dataset, extractor.image_shape) == ("digits", (28, 28, 1))
  assert {"epochs": 1, "seed": 1, "num_classes": 10}.items() <= extractor.about.items()
  # One class in ten would be chance.
  assert extractor.about["test_accuracy"] > 0.2
  printed = capsys.readouterr().out
  assert f"extractor {extractor.digest}" in printed
  assert f"{extractor.about['test_accuracy']:.2%} of 297 test images right" in printed


def test_a_set_of_ones_own_smaller_than_a_batch_is_learnt(tmp_path):
  data = write(tmp_path / "own.npz")
  assert train("--dataset=own", data, "--epochs=60") == 0
  extractor = extractors.load(tmp_path / "runs" / "extractors" / "own.npz")
  assert (extractor.dataset, extractor.image_shape) == ("own", (8, 8, 1))
  assert extractor.about["num_classes"] == 4 and extractor.about["test_accuracy"] > 0.7


def test_colour_is_learnt(tmp_path):
  colour = np.random.default_rng(0).integers(256, size=(40, 8, 8, 3), dtype=np.uint8)
  data = write(tmp_path / "own.npz", train_images=colour, test_images=colour[:12])
  assert train("--dataset=own", data, f"--out={tmp_path / 'own'}") == 0
  assert extractors.load(tmp_path / "own").image_shape == (8, 8, 3)


@pytest.mark.parametrize("flag", ["--epochs=0", "--seed=-1", f"--seed={2**32 - 1}"])
def test_a_number_out_of_range_is_refused_by_its_flag(refused, flag):
  assert flag in refused(flag)


def test_data_that_no_classifier_learns_from_are_refused(refused, tmp_path):
  assert "ring has no labelled images" in refused("--dataset=ring")
  data = write(tmp_path / "own.npz", labels=None)
  assert "own has no labelled images" in refused("--dataset=own", data)
  data = write(tmp_path / "odd.npz", size=10)
  assert "10 pixels" in refused("--dataset=own", data)


def test_data_without_test_images_are_refused(refused, tmp_path):
  np.savez(tmp_path / "own.npz", images=np.zeros((8, 8, 8), np.uint8), labels=np.arange(8))
  assert "unknown split 'test'" in refused("--dataset=own", f"--data_dir={tmp_path / 'own.npz'}")


def test_where_nothing_can_be_written_nothing_is_trained(refused, tmp_path, monkeypatch):
  monkeypatch.setattr(train_classifier, "_fit", lambda *args: pytest.fail("it trained"))
  (tmp_path / "file").write_text("mine")
  (tmp_path / "folder").mkdir()
  assert "cannot be written to" in refused("--dataset=digits", f"--out={tmp_path}/file/own.npz")
  assert "is a folder" in refused("--dataset=digits", f"--out={tmp_path / 'folder'}")


def test_no_file_of_a_run_and_no_data_set_is_written_over(refused, tmp_path, monkeypatch):
  monkeypatch.setattr(train_classifier, "_fit", lambda *args: pytest.fail("it trained"))
  for name in ("config.json", "sweep.json"):
    folder = tmp_path / name.removesuffix(".json")
    (folder / "checkpoints").mkdir(parents=True)
    (folder / name).write_text("{}")
    for file in (name, "own.npz", "checkpoints/own.npz"):
      line = refused("--dataset=digits", f"--out={folder / file}")
      assert "which holds a run or sweep: name a file elsewhere" in line
    assert (folder / name).read_text() == "{}"
  np.savez(tmp_path / "data.npz", images=np.zeros((8, 8, 8), np.uint8))
  line = refused("--dataset=digits", f"--out={tmp_path / 'data.npz'}")
  assert "is there and is no extractor" in line
