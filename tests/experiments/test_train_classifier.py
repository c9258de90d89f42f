"""The command that trains extractors, in process and for one epoch."""

import numpy as np
import pytest

from experiments import train_classifier
from gan.metrics import extractors
from gan.metrics.extractors import training

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
  found = extractors.load(tmp_path / "own")
  assert found.image_shape == (8, 8, 3)
  assert found.about["network"] == "residual" and found.about["mirror"]


def test_few_images_are_seen_more_often_by_default():
  recipe = training.RECIPES["residual"]
  # 36 images make one step an epoch, 1,500 make 11, 50,000 make 390.
  found = [train_classifier._default_epochs(count, recipe) for count in (36, 1500, 50_000)]
  assert found == [300, 28, 15]


@pytest.mark.parametrize("flag", ["--epochs=0", "--seed=-1", f"--seed={2**32 - 1}"])
def test_a_number_out_of_range_is_refused_by_its_flag(refused, flag):
  assert flag in refused(flag)


def test_data_that_no_classifier_learns_from_are_refused(refused, tmp_path):
  assert "ring has no labelled images" in refused("--dataset=ring")
  data = write(tmp_path / "own.npz", labels=None)
  assert "own has no labelled images" in refused("--dataset=own", data)
  data = write(tmp_path / "odd.npz", size=7)
  line = refused("--dataset=own", data)
  assert "side of 7 pixels" in line and "--image_size" in line


def test_few_images_without_a_test_split_are_refused(refused, tmp_path):
  np.savez(tmp_path / "own.npz", images=np.zeros((8, 8, 8), np.uint8), labels=np.arange(8))
  line = refused("--dataset=own", f"--data_dir={tmp_path / 'own.npz'}")
  assert "own has 8 images and no test split" in line


def test_a_set_without_a_test_split_keeps_a_tenth_for_it(tmp_path, capsys):
  pixels = np.random.default_rng(0).integers(256, size=(40, 10, 10), dtype=np.uint8)
  np.savez(tmp_path / "own.npz", images=pixels, labels=LABELS)
  assert train("--dataset=own", f"--data_dir={tmp_path / 'own.npz'}") == 0
  captured = capsys.readouterr()
  assert "One image in 10 is kept for the test" in captured.err
  assert "of 4 test images right" in captured.out
  # A side that 4 does not divide is for the residual network.
  about = extractors.load(tmp_path / "runs" / "extractors" / "own.npz").about
  assert about["network"] == "residual" and not about["mirror"]


def test_it_says_what_test_images_score_by_the_features(tmp_path, capsys):
  assert train("--dataset=digits", f"--out={tmp_path / 'own'}") == 0
  lines = capsys.readouterr().out.splitlines()
  assert "297 test images beside 297 training images:" in lines
  values = dict(line.split() for line in lines if line.startswith("  "))
  assert {"frechet_distance", "coverage", "memorisation_ratio"} <= set(values)


@pytest.mark.parametrize("kind", ["grey", pytest.param("colour", marks=pytest.mark.slow)])
def test_a_training_that_was_stopped_continues_to_the_same_file(tmp_path, monkeypatch, kind):
  pixels = np.random.default_rng(0).integers(256, size=(40, 8, 8, 3), dtype=np.uint8)
  pixels = pixels if kind == "colour" else pixels[..., 0]
  data = write(tmp_path / "own.npz", train_images=pixels, test_images=pixels[:12])
  flags = ["--dataset=own", data, "--epochs=3"]
  assert train(*flags, f"--out={tmp_path / 'whole'}") == 0

  made = []

  def stop():
    made.append(1)
    if len(made) == 2:
      raise KeyboardInterrupt

  monkeypatch.setattr(train_classifier, "stop_here", stop)
  assert train(*flags, f"--out={tmp_path / 'part'}") == 130
  assert not (tmp_path / "part").exists() and (tmp_path / "part.unfinished").exists()
  monkeypatch.undo()
  monkeypatch.chdir(tmp_path)
  assert train(*flags, f"--out={tmp_path / 'part'}") == 0
  assert (tmp_path / "part").read_bytes() == (tmp_path / "whole").read_bytes()
  assert not (tmp_path / "part.unfinished").exists()


def test_an_unfinished_file_of_another_training_is_not_continued(tmp_path, capsys, monkeypatch):
  out = f"--out={tmp_path / 'part'}"
  data = write(tmp_path / "own.npz")
  monkeypatch.setattr(train_classifier, "stop_here", lambda: 1 / 0)
  with pytest.raises(ZeroDivisionError):  # as a kill, but after the first step
    monkeypatch.setattr(train_classifier, "SAVE_EVERY", 1)
    train("--dataset=own", data, out)
  assert (tmp_path / "part.unfinished").exists()
  monkeypatch.undo()
  monkeypatch.chdir(tmp_path)
  # The same images with other labels.
  assert train("--dataset=own", write(tmp_path / "own.npz", labels=LABELS[::-1]), out) == 2
  assert "is of another training: remove it" in capsys.readouterr().err
  (tmp_path / "part.unfinished").write_bytes(b"damaged")
  assert train("--dataset=own", data, out) == 2
  assert "is of another training: remove it" in capsys.readouterr().err


def test_the_classifier_of_other_images_is_not_written_over(tmp_path, capsys):
  assert train("--dataset=own", write(tmp_path / "own.npz")) == 0
  before = (tmp_path / "runs" / "extractors" / "own.npz").read_bytes()
  assert train("--dataset=own", write(tmp_path / "own.npz", seed=1)) == 2
  assert "own.npz is of other images: name another file by --out" in capsys.readouterr().err
  assert (tmp_path / "runs" / "extractors" / "own.npz").read_bytes() == before
  assert train("--dataset=own", write(tmp_path / "own.npz"), "--seed=1") == 0


def test_one_class_is_refused(refused, tmp_path):
  data = write(tmp_path / "own.npz", labels=0 * LABELS)
  assert "own has one class" in refused("--dataset=own", data)
