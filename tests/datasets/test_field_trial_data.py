"""What a field trial found of data: strangers' files, labels that do not fit, odd folders."""

import ast
import io
import json
import os
import pathlib
import signal
import socket
import struct
import sys
import zlib

import jax
import numpy as np
import pytest
import tensorflow_datasets
from conftest import ROOT
from fake_studies import write_run
from PIL import Image

from experiments import mnist, sample
from gan import datasets
from gan.datasets import base, folder, local, tfds
from gan.errors import UserError
from gan.report import analysis, sample_figures, study, words
from gan.system import files, memory
from gan.training import restore, sampling
from gan.training.run_folder import read_config

pytestmark = pytest.mark.usefixtures("offline")
PHOTO = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
IMAGES = np.zeros((4, 8, 8), np.uint8)


@pytest.fixture
def no_wait():
  """What would wait for ever ends."""

  def stop(*signal):
    raise AssertionError("it waits")

  before = signal.signal(signal.SIGALRM, stop)
  signal.alarm(30)
  yield
  signal.alarm(0)
  signal.signal(signal.SIGALRM, before)


@pytest.fixture
def ghostscript(monkeypatch, tmp_path_factory):
  """A program `gs`, which Pillow starts to draw PostScript; its traces are checked for."""
  place = tmp_path_factory.mktemp("bin")
  for name in ("gs", "gswin64c", "gswin32c"):
    (place / name).write_text(f"#!/bin/sh\ntouch {place}/started\n")
    (place / name).chmod(0o755)
  monkeypatch.setenv("PATH", f"{place}{os.pathsep}{os.environ['PATH']}")
  monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", None)
  yield
  assert not (place / "started").exists()


def encoded(format):
  """The photo in a format of Pillow."""
  buffer = io.BytesIO()
  Image.fromarray(PHOTO).save(buffer, format=format)
  return buffer.getvalue()


def put(path, content=None):
  """A file, with the photo in it where no other content is given."""
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_bytes(encoded("PNG") if content is None else content)


def refusal(call, *arguments):
  """The one line with which `call` refuses its arguments."""
  with pytest.raises(UserError) as caught:
    call(*arguments)
  assert "\n" not in str(caught.value)
  return str(caught.value)


def load(path, split="train", image_size=None):
  return datasets.load("own", split, str(path), image_size)


# Formats of images.


@pytest.mark.parametrize("path", ["gan", "experiments"])
def test_images_are_opened_in_one_place(path):
  opened = [
    str(file.relative_to(ROOT))
    for file in sorted((ROOT / path).rglob("*.py"))
    for node in ast.walk(ast.parse(file.read_text()))
    if isinstance(node, ast.Attribute)
    and node.attr in ("open", "imread")
    and isinstance(node.value, ast.Name)
    and node.value.id in ("Image", "plt", "pyplot", "image")
  ]
  assert opened == (["gan/system/files.py"] if path == "gan" else [])


@pytest.mark.parametrize("format", files.FORMATS)
def test_a_format_of_the_list_is_read_whatever_its_suffix(tmp_path, format):
  put(tmp_path / "a.png", encoded(format))
  found = load(tmp_path).images[0].astype(int)
  # JPEG and GIF are not exact.
  assert found.shape == (8, 8, 3) and abs(found - PHOTO).mean() < 10


OTHERS = ("EPS", "ICO", "TGA", "PCX", "SGI", "DDS", "JPEG2000", "DIB")


@pytest.mark.parametrize("format", OTHERS)
def test_no_other_format_is_read_whatever_its_suffix(tmp_path, ghostscript, format):
  put(tmp_path / "a.png", encoded(format))
  for call in (load, lambda path: local.load("images", "train", path, None)):
    assert "a.png as an image: by its content it is none of PNG" in refusal(call, tmp_path)


@pytest.mark.parametrize("kind", ["postscript", "a pipe"])
def test_what_is_no_picture_among_samples_is_left_out_of_reports_with_a_line(
  tmp_path, ghostscript, no_wait, kind
):
  for loss in ("nonsat", "hinge"):
    write_run(tmp_path / loss, loss)
  last = max((tmp_path / "hinge" / "samples").iterdir())
  last.unlink()
  os.mkfifo(last) if kind == "a pipe" else last.write_bytes(encoded("EPS"))
  found = analysis.analyse(study.load([str(tmp_path)]), None)
  assert [picture.loss for picture in sample_figures.last_pictures(found)] == ["nonsat"]
  said = [line for line in words.notes(found) if "A picture is left out" in line]
  assert len(said) == 1 and str(last) in said[0]


def png(width, height):
  """The head of a PNG of that size, and nothing after it."""
  chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
  rest = struct.pack(">I", zlib.crc32(chunk)) + struct.pack(">I", 4) + b"IDAT" + bytes(8)
  return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + rest


def chunk(kind, content):
  """A part of a PNG."""
  checksum = struct.pack(">I", zlib.crc32(kind + content))
  return struct.pack(">I", len(content)) + kind + content + checksum


def deep_png(colour, channels):
  """A whole PNG of 2 by 2 pixels with 16 bits a channel."""
  head = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 16, colour, 0, 0, 0))
  rows = zlib.compress((b"\0" + bytes(2 * 2 * channels)) * 2)
  return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def deep_tiff():
  """A TIFF of 2 by 2 pixels in colour with 16 bits a channel."""
  tags = [(256, 3, 1, 2), (257, 3, 1, 2), (258, 3, 3, 200), (259, 3, 1, 1), (262, 3, 1, 2)]
  tags += [(273, 4, 1, 206), (277, 3, 1, 3), (278, 3, 1, 2), (279, 4, 1, 24)]
  entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
  head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries
  return head.ljust(200, b"\0") + struct.pack("<3H", 16, 16, 16) + bytes(24)


DEEP = {
  "PNG grey": deep_png(0, 1),
  "PNG colour": deep_png(2, 3),
  "PNG grey with alpha": deep_png(4, 2),
  "PNG colour with alpha": deep_png(6, 4),
  "PGM": b"P5 2 2 65535\n" + bytes(8),
  "PPM": b"P6 2 2 65535\n" + bytes(24),
  "PPM of 10 bits": b"P6 2 2 1023\n" + bytes(24),
  "PPM in words": b"P3 2 2 65535\n" + b"0 " * 12,
  "TIFF": deep_tiff(),
}


@pytest.mark.parametrize("kind", DEEP)
def test_more_than_8_bits_are_refused_and_not_cut(tmp_path, kind):
  put(tmp_path / "a.png", DEEP[kind])
  assert "a.png has more than 8 bits a channel" in refusal(load, tmp_path)


@pytest.mark.parametrize("content", [b"P6 2 2 255\n" + bytes(12), b"P6 2 2 15\n" + bytes(12)])
def test_fewer_bits_are_read(tmp_path, content):
  put(tmp_path / "a.ppm", content)
  assert load(tmp_path).images.shape == (1, 2, 2, 3)


@pytest.mark.parametrize("side", [9_500, 50_000, 2**31 - 1])
def test_an_image_that_would_fill_the_memory_is_refused(tmp_path, side):
  put(tmp_path / "a.png", png(side, side))
  assert "a.png as an image" in refusal(load, tmp_path)


@pytest.mark.parametrize("format", ("PNG", "JPEG", "GIF", "TIFF", "WEBP"))
def test_a_truncated_image_is_one_line(tmp_path, format):
  content = encoded(format)
  for keep in (0, 1, 10, len(content) // 2):
    put(tmp_path / "a.png", content[:keep])
    assert "a.png as an image" in refusal(load, tmp_path)


# What is no file.


def make_socket(path):
  with socket.socket(socket.AF_UNIX) as server:
    # The name of a socket has at most 108 bytes.
    here = os.getcwd()
    os.chdir(path.parent)
    server.bind(path.name)
    os.chdir(here)


ODD = {
  "a pipe": os.mkfifo,
  "a socket": make_socket,
  "a device": lambda path: path.symlink_to("/dev/zero"),
  "a link to nothing": lambda path: path.symlink_to("nowhere"),
}


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("name", ["a.png", "a.npz", "cat/a.png", "train-images-idx3-ubyte"])
def test_what_is_no_file_is_one_line(tmp_path, no_wait, kind, name):
  put(tmp_path / "cat" / "b.png") if "cat" in name else None
  (tmp_path / name).parent.mkdir(exist_ok=True)
  ODD[kind](tmp_path / name)
  assert kind in refusal(load, tmp_path)


def test_a_folder_with_the_name_of_an_idx_file_is_called_one(tmp_path):
  (tmp_path / "train-images-idx3-ubyte").mkdir()
  assert "train-images-idx3-ubyte is a folder" in refusal(load, tmp_path)


def test_a_home_that_is_none_is_named(monkeypatch):
  said = "~nosuch/x: there is no home folder ~nosuch: write ./~nosuch for"
  for call in (load, base.absolute):
    assert said in refusal(call, "~nosuch/x")
  monkeypatch.setenv("TFDS_DATA_DIR", "~nosuch/x")
  assert said in refusal(tfds.default_root)
  monkeypatch.setenv("GAN_DATA_DIR", "~nosuch/x")
  assert said in refusal(datasets.load, "mnist")


def test_names_are_proposed_from_a_folder_at_home(tmp_path, monkeypatch):
  (tmp_path / "sets" / "mine").mkdir(parents=True)
  monkeypatch.setenv("HOME", str(tmp_path))
  monkeypatch.setenv("GAN_DATA_DIR", "~/sets")
  assert " mine, " in refusal(datasets.load, "nosuch")


@pytest.mark.parametrize("found", [5, None, (IMAGES, None)])
def test_a_data_set_of_a_plugin_that_is_none_is_refused_with_its_entry(monkeypatch, found):
  monkeypatch.setitem(datasets.DATASETS, "theirs", lambda split, data_dir, image_size: found)
  said = refusal(datasets.load, "theirs")
  assert "DATASETS['theirs'] of a plugin" in said and type(found).__name__ in said


@pytest.mark.parametrize("kind", ["a pipe", "a socket", "a device"])
def test_what_is_no_folder_is_one_line(tmp_path, monkeypatch, no_wait, kind):
  ODD[kind](tmp_path / "own")
  assert kind in refusal(load, tmp_path / "own")
  assert kind in refusal(local.load, "images", "train", tmp_path / "own", None)
  assert kind in refusal(load, tmp_path)
  monkeypatch.setenv("GAN_DATA_DIR", str(tmp_path / "own"))
  assert "no folder" in refusal(datasets.load, "own")


def test_a_file_where_a_folder_belongs_and_the_reverse_are_one_line(tmp_path):
  put(tmp_path / "notes.txt", b"text")
  assert "no .npz" in refusal(load, tmp_path / "notes.txt")
  (tmp_path / "set" / "a.npz").mkdir(parents=True)
  assert "a.npz is a folder" in refusal(load, tmp_path / "set")
  assert "cannot read" in refusal(load, tmp_path / ("long" * 100))


def test_what_may_not_be_read_is_one_line(tmp_path, monkeypatch):
  put(tmp_path / "cat" / "a.png")

  def closed(*arguments, **options):
    raise PermissionError(13, "Permission denied", str(tmp_path))

  for module, name in ((pathlib.Path, "iterdir"), (pathlib.Path, "stat"), (Image, "open")):
    with monkeypatch.context() as patch:
      patch.setattr(module, name, closed)
      assert "Permission denied" in refusal(local.load, "own", "train", tmp_path, None)


# Prepared sets of tensorflow-datasets.

FEATURES = tensorflow_datasets.features


class OnePhoto(tensorflow_datasets.core.GeneratorBasedBuilder, skip_registration=True):
  """One record, whose bytes and label are given, and what these features are."""

  VERSION = tensorflow_datasets.core.Version("1.0.0")
  content = encoded("PNG")
  label = 0
  image_feature = FEATURES.Image(shape=(None, None, 3))
  label_feature = FEATURES.ClassLabel(num_classes=3)

  def _info(self):
    features = FEATURES.FeaturesDict(
      {
        "image": self.image_feature,
        "label": self.label_feature,
        "boxes": FEATURES.Sequence({"box": FEATURES.BBoxFeature(), "text": FEATURES.Text()}),
      }
    )
    return tensorflow_datasets.core.DatasetInfo(builder=self, features=features)

  def _split_generators(self, downloads):
    return {"train": self._generate_examples()}

  def _generate_examples(self):
    image = io.BytesIO(self.content) if isinstance(self.content, bytes) else self.content
    yield 0, {"image": image, "label": self.label, "boxes": []}


@pytest.fixture
def prepare(tmp_path, monkeypatch):
  """prepare(**fields) is the folder of OnePhoto with these fields."""

  def prepared(**fields):
    tensorflow_datasets.disable_progress_bar()
    for name, value in fields.items():
      monkeypatch.setattr(OnePhoto, name, value)
    builder = OnePhoto(data_dir=tmp_path / "sets", file_format="array_record")
    builder.download_and_prepare(file_format="array_record")
    return pathlib.Path(builder.data_dir)

  return prepared


def load_photo(place):
  return datasets.load("one_photo", data_dir=str(place))


def test_a_prepared_set_is_read_with_no_feature_but_image_and_label(prepare):
  found = load_photo(prepare(label=1))
  np.testing.assert_array_equal(found.images[0], PHOTO)
  assert (found.labels.tolist(), found.num_classes) == ([1], 3)
  assert "one_photo has no example of 2 of its 3 classes: 0, 2" in found.notice


NO_CLASSES = {
  "unknown": (-1, FEATURES.ClassLabel(num_classes=3), "no label of this split is known"),
  "a number": (1, FEATURES.Scalar(np.int64), "'label' is a Scalar, no ClassLabel"),
  "an array": (np.array([1, 0]), FEATURES.Tensor(shape=(2,), dtype=np.int64), "is a Tensor"),
  "words": ("cat", FEATURES.Text(), "'label' is a Text, no ClassLabel"),
  "several": ([1, 2], FEATURES.Sequence(FEATURES.ClassLabel(num_classes=3)), "is a Sequence"),
}


@pytest.mark.parametrize("kind", NO_CLASSES)
def test_labels_that_are_no_classes_are_left_out_with_a_line(prepare, kind):
  label, feature, said = NO_CLASSES[kind]
  place = prepare(label=label, label_feature=feature)
  for _ in ("decoded", "from the cache"):
    found = load_photo(place)
    assert found.labels is None and found.num_classes == 0
    assert said in found.notice and str(place) in found.notice and "\n" not in found.notice


def test_names_of_classes_are_kept(prepare):
  place = prepare(label="dog", label_feature=FEATURES.ClassLabel(names=["cat", "dog", "two words"]))
  for _ in ("decoded", "from the cache"):
    found = load_photo(place)
    assert found.class_names == ("cat", "dog", "two words") and found.labels.tolist() == [1]
    assert "one_photo has no example of 2 of its 3 classes: cat, two words" in found.notice


@pytest.mark.parametrize(
  "content", [b"", b"a\nb\n", b"a\nb\nc\nd", b"a\na\nb", b"a\n\xff\nb", b"\x1b\na\nb"]
)
def test_names_that_are_not_those_of_the_classes_are_refused(prepare, content):
  place = prepare()
  for _ in ("decoded", "from the cache"):
    (place / "label.labels.txt").write_bytes(content)
    assert "does not name the 3 classes" in refusal(load_photo, place)
    (place / "label.labels.txt").unlink()
    load_photo(place)


POSTSCRIPT = encoded("EPS")
NO_IMAGES = {
  "several": ([io.BytesIO(POSTSCRIPT)], FEATURES.Sequence(FEATURES.Image()), "Sequence"),
  "named": ({"a": io.BytesIO(POSTSCRIPT)}, {"a": FEATURES.Image()}, "FeaturesDict"),
  "words": ("cat", FEATURES.Text(), "Text"),
  "a number": (1, FEATURES.Scalar(np.uint8), "Scalar"),
  "fractions": (
    PHOTO / np.float32(255),
    FEATURES.Tensor(shape=(8, 8, 3), dtype=np.float32),
    "Tensor",
  ),
  "one axis": (PHOTO[0, 0], FEATURES.Tensor(shape=(3,), dtype=np.uint8), "Tensor"),
}


@pytest.mark.parametrize("kind", NO_IMAGES)
def test_a_feature_that_is_no_image_is_refused_and_not_decoded(prepare, ghostscript, kind):
  content, feature, name = NO_IMAGES[kind]
  said = refusal(load_photo, prepare(content=content, image_feature=feature))
  assert f"is a {name}: nothing of it was decoded" in said and "delete" not in said


def test_an_array_is_an_image(prepare):
  feature = FEATURES.Tensor(shape=(8, 8, 3), dtype=np.uint8)
  found = load_photo(prepare(content=PHOTO, image_feature=feature))
  np.testing.assert_array_equal(found.images[0], PHOTO)


@pytest.mark.parametrize("lengths", [[], ["0"], ["-1"], ["2"], ["10"], [str(10**14)]])
def test_a_count_that_is_not_that_of_the_records_is_refused(prepare, lengths):
  place = prepare()
  info = json.loads((place / "dataset_info.json").read_text())
  info["splits"][0]["shardLengths"] = lengths
  (place / "dataset_info.json").write_text(json.dumps(info))
  said = refusal(load_photo, place)
  assert said.startswith(f"dataset_info.json in {place} gives train") and "delete" not in said


def test_memory_that_runs_out_is_no_damage(prepare, monkeypatch):
  place = prepare()

  def full(*arguments, **options):
    raise MemoryError

  with monkeypatch.context() as patch:
    patch.setattr(files, "image", full)
    with pytest.raises(MemoryError):
      load_photo(place)
  monkeypatch.setattr(memory, "machine_bytes", lambda: 100)
  assert "make image_size smaller" in refusal(load_photo, place)


@pytest.mark.parametrize("format", OTHERS)
def test_no_other_format_is_read_from_records(prepare, ghostscript, format):
  place = prepare(content=encoded(format))
  assert "record 0 of" in refusal(load_photo, place)


def replaced(value, path, name):
  """The value with the class at a path of keys renamed."""
  at = value
  for key in path:
    at = at[key]
  at["pythonClassName"] = name
  return value


FOREIGN = ("evil.Feature", "evil", "os.system", "tensorflow_datasets_evil.Feature", "", ".evil.X")
FOREIGN += ("tensorflow_datasets.evil.Feature", "tensorflow_datasets.core.lazy_imports_lib.os", 7)
FOREIGN += ("tensorflow_datasets.core.features.image_feature.Image.evil", "tensorflow_datasets")
FOREIGN += ("tensorflow_datasets.scripts.cli.main.main", "tensorflow_datasets.core.features\n.X")
INNER = ("featuresDict", "features")
DEPTHS = {
  "top": (),
  "image": (*INNER, "image"),
  "within a sequence": (*INNER, "boxes", "sequence", "feature"),
  "two below": (*INNER, "boxes", "sequence", "feature", *INNER, "text"),
}


@pytest.fixture
def evil(tmp_path, monkeypatch):
  """Modules that leave a trace where they are imported."""
  place = tmp_path / "modules"
  place.mkdir()
  for name in ("evil", "tensorflow_datasets_evil"):
    (place / f"{name}.py").write_text(f"open({str(place / 'imported')!r}, 'w').close()\n")
  monkeypatch.syspath_prepend(str(place))
  yield
  assert not (place / "imported").exists()
  assert not {"evil", "tensorflow_datasets_evil", "tensorflow_datasets.evil"} & set(sys.modules)


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_feature_of_another_module_is_refused_and_not_imported(prepare, evil, depth):
  place = prepare()
  whole = (place / "features.json").read_text()
  before = set(sys.modules)
  for name in FOREIGN:
    features = replaced(json.loads(whole), DEPTHS[depth], name)
    (place / "features.json").write_text(json.dumps(features))
    assert "features.json" in refusal(load_photo, place) or not isinstance(name, str)
  assert set(sys.modules) == before


@pytest.mark.parametrize("text", [False, True])
def test_older_forms_of_features_are_held_to_the_same(prepare, evil, text):
  place = prepare()
  inner = {"type": "evil.Feature", "content": {}}
  content = {"image": inner}
  if text:
    outer = {
      "pythonClassName": "tensorflow_datasets.core.features.features_dict.FeaturesDict",
      "jsonFeature": {"json": json.dumps(content)},
    }
  else:
    name = "tensorflow_datasets.core.features.features_dict.FeaturesDict"
    outer = {"type": name, "content": content}
  (place / "features.json").write_text(json.dumps(outer))
  assert "evil.Feature" in refusal(load_photo, place)


@pytest.mark.parametrize("name", ["features.json", "label.labels.txt", "gan_train.npz"])
def test_a_pipe_in_a_prepared_set_is_one_line(prepare, no_wait, name):
  place = prepare()
  (place / name).unlink(missing_ok=True)
  os.mkfifo(place / name)
  assert "is a pipe" in refusal(load_photo, place)


@pytest.mark.parametrize("content", [b"", b"[]", b"7", b"{", b"\xff", b"[" * 10**5])
@pytest.mark.parametrize("name", ["features.json", "dataset_info.json"])
def test_a_prepared_set_with_damaged_descriptions_is_one_line(prepare, name, content):
  place = prepare()
  (place / name).write_bytes(content)
  refusal(load_photo, place)


@pytest.mark.parametrize(
  "arrays",
  [
    {"images": PHOTO[None].astype(float), "num_classes": 0},
    {"images": PHOTO[None], "labels": np.array([9]), "num_classes": 3},
    {"images": PHOTO[None], "labels": np.array([2**33]), "num_classes": 3},
    {"labels": np.array([0]), "num_classes": 3},
    {"images": PHOTO[None], "num_classes": 0},
    {"images": PHOTO[None], "num_classes": 0, "notice": "\x1b[2J"},
  ],
)
def test_a_cache_that_does_not_fit_is_made_again(prepare, arrays):
  place = prepare()
  np.savez(place / "gan_train.npz", **arrays)
  found = load_photo(place)
  np.testing.assert_array_equal(found.images[0], PHOTO)
  assert found.labels.tolist() == [0]


# Labels.

BAD_LABELS = {
  "above int32": np.array([0, 1, 2, 2**31 + 5]),
  "another class after wrapping": np.array([0, 1, 2, 2**32 + 3]),
  "the highest of all": np.array([0, 1, 2, 2**64 - 1], np.uint64),
  "numbers of users": np.array([0, 1, 2, 150_000_000], np.int32),
  "more classes than a small set has": np.array([0, 1, 2, 1000]),
  "below 0": np.array([0, 1, 2, -1]),
  "the lowest of all": np.array([0, 1, 2, -(2**63)]),
  "fractions": np.array([0, 1, 2, 3.5]),
  "not a number": np.array([0, 1, 2, np.nan]),
  "words": np.array(["a", "b", "c", "d"]),
  "truth values": np.array([True, False, True, False]),
  "of a pair": np.zeros((4, 2), int),
  "too few": np.arange(3),
  "none": np.zeros(0, int),
  "one alone": np.array(2),
  "infinite": np.array([0, 1, 2, np.inf]),
  "complex": np.array([0, 1, 2, 3j]),
  "one-hot": np.eye(4, dtype=int),
  "dates": np.array(["2020-01-01"] * 4, "M8[D]"),
  "spans of time": np.arange(4).astype("m8[s]"),
  "bytes": np.zeros(4, "V8"),
}


@pytest.mark.parametrize("name", BAD_LABELS)
@pytest.mark.parametrize("keys", [("images", "labels"), ("x_train", "y_train")])
def test_labels_that_do_not_fit_are_refused(tmp_path, name, keys):
  np.savez(tmp_path / "a.npz", **dict(zip(keys, (IMAGES, BAD_LABELS[name]), strict=True)))
  assert "a.npz" in refusal(load, tmp_path)


@pytest.mark.parametrize("name", BAD_LABELS)
@pytest.mark.parametrize("split, other", [("train", "test"), ("test", "train")])
def test_labels_of_another_split_are_held_to_the_same(tmp_path, name, split, other):
  arrays = {f"x_{split}": IMAGES, f"y_{split}": np.zeros(4, int), f"x_{other}": IMAGES}
  np.savez(tmp_path / "a.npz", **arrays, **{f"y_{other}": BAD_LABELS[name]})
  assert "a.npz" in refusal(load, tmp_path, split)


def test_a_split_without_any_example_is_none_to_count(tmp_path):
  empty = {"x_test": IMAGES[:0], "y_test": np.zeros(0, int)}
  np.savez(tmp_path / "a.npz", x_train=IMAGES, y_train=np.arange(4), **empty)
  assert load(tmp_path).num_classes == 4


@pytest.mark.parametrize(
  "keys, unread",
  [
    (["train_images", "labels"], "labels"),
    (["images", "x_train"], "x_train"),
    (["images", "test_images", "test_labels"], "test_images, test_labels"),
    (["x_train", "y_train", "labels", "ids"], "labels, ids"),
    (["train_images", "train_labels", "x_train", "y_train"], "train_images, train_labels"),
    (["x_train", "y_test"], "y_test"),
    (["images", "a\x1b[2J"], "'a\\x1b[2J'"),
    (["images", "labels"], ""),
    (["x_train", "x_test", "y_test"], ""),
    (["anything"], ""),
  ],
)
def test_arrays_that_are_not_read_are_said(tmp_path, keys, unread):
  labels = [key for key in keys if "labels" in key or key.startswith("y_") or key == "ids"]
  np.savez(tmp_path / "a.npz", **{key: np.arange(4) if key in labels else IMAGES for key in keys})
  said = f"{tmp_path / 'a.npz'}: {unread} not read; keys are " if unread else ""
  assert load(tmp_path).notice.startswith(said) and bool(load(tmp_path).notice) == bool(unread)


def test_classes_of_idx_files_are_counted_over_both_splits(tmp_path):
  for prefix, highest in (("train", 3), ("t10k", 180)):
    labels = np.array([0, highest], np.uint8)
    header = bytes([0, 0, 8])
    put(tmp_path / f"{prefix}-labels-idx1-ubyte", header + struct.pack(">BI", 1, 2) + bytes(labels))
    images = struct.pack(">B3I", 3, 2, 8, 8) + bytes(128)
    put(tmp_path / f"{prefix}-images-idx3-ubyte", header + images)
  for split in ("train", "test"):
    found = load(tmp_path, split)
    assert found.num_classes == 181 and "own has no example of 179 of its 181" in found.notice
  (tmp_path / "t10k-labels-idx1-ubyte").unlink()
  assert load(tmp_path).num_classes == 4


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int64", "uint64", ">i4"])
def test_labels_that_fit_keep_their_values(dtype):
  labels = base.as_labels(np.array([3, 0, 2, 1], dtype), len(IMAGES), "here")
  assert labels.tolist() == [3, 0, 2, 1] and labels.dtype == np.int32


@pytest.mark.parametrize(
  "count, examples, fits",
  [
    (1000, 1, True),
    (1001, 1000, False),
    (1001, 1001, True),
    (100_000, 10**6, True),
    (100_001, 10**6, False),
  ],
)
def test_there_are_at_most_as_many_classes_as_examples(count, examples, fits):
  if fits:
    base.check_classes(count, examples, "here")
  else:
    assert "here" in refusal(base.check_classes, count, examples, "here")


@pytest.mark.parametrize(
  "labels, split, said",
  [
    ([1, 2, 3, 4], "train", "own has no example of 1 of its 5 classes: 0"),
    ([0, 3, 3, 0], "train", "own has no example of 2 of its 4 classes: 1, 2"),
    ([0, 0, 1, 1], "train[:2]", "own has no example of 1 of its 2 classes: 1"),
    ([999, 999, 999, 999], "train", "own has no example of 999 of its 1,000 classes: 0, 1"),
    ([0, 1, 2, 3], "train", ""),
    ([0, 0, 0, 0], "train", ""),
    ([999, 0, 1, 2], "train", "own has no example of 996 of its 1,000 classes: 3, 4, 5"),
  ],
)
def test_classes_without_an_example_are_said(tmp_path, labels, split, said):
  np.savez(tmp_path / "a.npz", images=IMAGES, labels=np.array(labels))
  for name in ("own", "images"):
    notice = datasets.load(name, split, str(tmp_path)).notice
    assert notice.startswith(said.replace("own", name)) and bool(notice) == bool(said)
    assert "\n" not in notice


def test_own_files_under_a_known_name_are_held_to_the_same(tmp_path):
  np.savez(tmp_path / "a.npz", images=IMAGES, labels=np.array([1, 2, 3, 4]))
  found = datasets.load("mnist", data_dir=str(tmp_path))
  assert "4 train images where mnist has 60000" in found.notice
  assert "mnist_subset has no example of 1 of its 5 classes: 0" in found.notice


@pytest.mark.parametrize("name", ["digits", "ring", "grid"])
def test_sets_that_come_with_the_program_are_silent(name):
  found = datasets.load(name, "train[:3]")
  assert found.notice == "" and found.class_names == ()


# Folders.


def test_numbers_in_names_are_ordered_by_value(tmp_path):
  for i in range(12):
    put(tmp_path / str(i) / "a.png", encoded("PNG") if i % 2 else None)
  found = load(tmp_path)
  assert found.class_names == tuple(map(str, range(12)))
  assert found.labels.tolist() == list(range(12))


NAMES = ["img2.png", "img10.png", "img1.png", "b.png", "a.png", "img02.png", "a1.png", "Z.png"]


def test_files_are_in_natural_order_and_others_in_that_of_their_letters():
  assert sorted(NAMES, key=folder.natural_order) == [
    *("Z.png", "a.png", "a1.png", "b.png", "img1.png", "img02.png", "img2.png", "img10.png")
  ]
  plain = [name for name in NAMES if not any(letter.isdigit() for letter in name)]
  assert sorted(plain, key=folder.natural_order) == sorted(plain)


def test_a_line_says_what_was_read_and_what_was_left_out(tmp_path):
  for name in ("cat/2.png", "cat/10.png", "dog/1.png", ".ipynb_checkpoints/2.png"):
    put(tmp_path / name)
  for name in ("__MACOSX/cat/._2.png", "cat/.DS_Store", "cat/notes.txt", "dog/a.heic", "list.csv"):
    put(tmp_path / name, b"x")
  (tmp_path / "empty").mkdir()
  found = load(tmp_path)
  assert found.class_names == ("cat", "dog") and found.labels.tolist() == [0, 0, 1]
  assert found.notice == (
    f"{tmp_path}: 3 images, 2 classes (cat, dog); 7 left out: .ipynb_checkpoints, __MACOSX, "
    ".DS_Store (hidden), list.csv, notes.txt, a.heic (no suffix of an image), empty (a folder "
    "without images)"
  )


def test_the_line_says_so_where_nothing_was_left_out(tmp_path):
  put(tmp_path / "a.png")
  assert load(tmp_path).notice == f"{tmp_path}: 1 image, no classes; 0 left out"


def test_each_split_has_its_line_and_all_have_one_numbering(tmp_path):
  for name in ("train/2/a.png", "train/10/a.png", "test/10/a.png", "val/2/a.png", "readme.txt"):
    put(tmp_path / name)
  for split, labels in {"train": [0, 1], "test": [1], "val": [0]}.items():
    found = load(tmp_path, split)
    assert found.labels.tolist() == labels and found.class_names == ("2", "10")
    assert found.notice.startswith(f"{tmp_path / split}: {len(labels)} image")
    assert "2 classes (2, 10); 1 left out: readme.txt" in found.notice
  assert "own has no example of 1 of its 2 classes: 2" in load(tmp_path, "test").notice


MISFITS = {
  "images beside classes": (["a.png", "cat/b.png"], "both loose"),
  "images too deep": (["cat/deep/a.png", "cat/b.png"], "too deep"),
  "everything too deep": (["set/cat/a.png", "set/dog/b.png"], "too deep"),
  "three deep": (["a/b/c/d.png"], "too deep"),
  "splits below": (["photos/train/cat/a.png"], "too deep"),
  "classes beside a split": (["train/a.png", "plane/b.png"], "holds plane beside train"),
  "images beside a split": (["train/cat/a.png", "b.png"], "holds b.png beside train"),
  "a class called test": (["test/a.png", "cat/b.png"], "holds cat beside test"),
  "splits of two forms": (["train/a.png", "test/cat/b.png"], "none: make both alike"),
  "a name that is no text": (["a\tb/c.png"], "is no name of a class"),
  "nothing but other files": (["a.txt", "cat/b.heic"], "3 left out: a.txt"),
  "nothing but hidden files": ([".a.png", ".cat/a.png", "__MACOSX/a.png"], "3 left out"),
}


@pytest.mark.parametrize("name", MISFITS)
def test_structure_that_does_not_fit_is_refused(tmp_path, name):
  paths, said = MISFITS[name]
  for path in paths:
    put(tmp_path / path)
  assert said in refusal(load, tmp_path)


def test_folders_in_a_ring_end(tmp_path):
  put(tmp_path / "cat" / "a.png")
  (tmp_path / "cat" / "again").symlink_to(tmp_path)
  assert "too deep" in refusal(load, tmp_path)


def test_other_forms_beside_the_one_that_is_read_are_said(tmp_path):
  np.savez(tmp_path / "a.npz", images=IMAGES)
  put(tmp_path / "cat" / "a.png")
  assert load(tmp_path).notice == f"{tmp_path}: a.npz of it; images beside left out"


@pytest.mark.parametrize("orientation", range(9))
def test_images_are_turned_as_their_orientation_says(tmp_path, orientation):
  exif = Image.Exif()
  exif[0x0112] = orientation
  Image.fromarray(PHOTO).save(tmp_path / "a.png", exif=exif)
  turned = {
    2: PHOTO[:, ::-1],
    3: PHOTO[::-1, ::-1],
    4: PHOTO[::-1],
    5: PHOTO.transpose(1, 0, 2),
    6: PHOTO.transpose(1, 0, 2)[:, ::-1],
    7: PHOTO[::-1, ::-1].transpose(1, 0, 2),
    8: PHOTO.transpose(1, 0, 2)[::-1],
  }
  np.testing.assert_array_equal(load(tmp_path).images[0], turned.get(orientation, PHOTO))


def test_transparency_and_further_pictures_are_said(tmp_path):
  frames = [Image.new("L", (8, 8), value) for value in (10, 200)]
  frames[0].convert("RGB").save(
    tmp_path / "a.tiff", save_all=True, append_images=[frames[1].convert("RGB")]
  )
  Image.new("RGBA", (8, 8), (1, 2, 3, 4)).save(tmp_path / "b.png")
  found = load(tmp_path)
  assert (found.images[0] == 10).all() and (found.images[1] == [1, 2, 3]).all()
  assert "1 with several pictures, of which the first is taken" in found.notice
  assert "1 with transparency, which is dropped" in found.notice


@pytest.mark.parametrize("form", ["npz", "folder"])
def test_image_size_brings_every_form_to_one_size(tmp_path, form):
  if form == "npz":
    np.savez(tmp_path / "a.npz", images=np.zeros((2, 6, 8), np.uint8))
  else:
    for name, size in (("a.png", (8, 6)), ("b.png", (5, 9))):
      Image.new("L", size).save(tmp_path / name)
  assert local.load("own", "train", tmp_path, 4).images.shape == (2, 4, 4, 1)


# Commands.


@pytest.mark.slow
def test_names_of_classes_reach_the_user_and_can_be_typed(tmp_path, programs_of_the_tests, capsys):
  for name in ("2 two", "10 ten", "cat"):
    for i in range(3):
      put(tmp_path / "own" / name / f"{i}.png")
  put(tmp_path / "own" / "notes.txt", b"x")
  workdir = tmp_path / "run"
  flags = ["--dataset=own", f"--data_dir={tmp_path}", "--model=mlp", "--conditional", "--steps=1"]
  flags += [
    "--batch_size=2",
    "--eval_every=0",
    "--latent_dim=4",
    "--parallel=none",
    f"--workdir={workdir}",
  ]
  assert mnist.main(["mnist", *flags]) == 0
  assert (
    "9 images, 3 classes (2 two, 10 ten, cat); 1 left out: notes.txt" in capsys.readouterr().err
  )
  assert read_config(workdir)["class_names"] == ["2 two", "10 ten", "cat"]

  def height(*classes):
    options = [f"--classes={','.join(classes)}"] if classes else []
    assert sample.main(["sample", f"--workdir={workdir}", *options]) == 0
    with Image.open(workdir / "drawn" / "classes.png") as picture:
      return picture.height

  row = height("cat", "0") - height("cat")
  assert height() == height("cat") + 2 * row and row > 0
  capsys.readouterr()
  assert sample.main(["sample", f"--workdir={workdir}", "--classes=dog"]) == 2
  assert "--classes=dog is unknown: choose from 2 two, 10 ten, cat" in capsys.readouterr().err
  assert sample.main(["sample", f"--workdir={workdir}", "--count=7", "--seed=3"]) == 0
  assert str(workdir / "drawn" / "samples.zip") in capsys.readouterr().out
  drawn = load(workdir / "drawn" / "samples.zip")
  assert drawn.labels.tolist() == [0, 1, 2, 0, 1, 2, 0]
  run = restore.load(workdir)
  expected = sampling.samples(run.gan, run.state, jax.random.key(3), 7, drawn.labels)
  np.testing.assert_array_equal(drawn.images, expected)
  assert sample.main(["sample", f"--workdir={workdir}", "--count=-1"]) == 2
  assert "--count=-1 must be above 0" in capsys.readouterr().err
