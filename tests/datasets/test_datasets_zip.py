"""Zips of images with dataset.json, read and written."""

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from gan import datasets
from gan.datasets.base import MAX_CLASSES
from gan.errors import UserError
from gan.system import archive

IMAGES = np.random.default_rng(0).integers(256, size=(12, 8, 8, 3), dtype=np.uint8)
LABELS = np.arange(12) % 3


def png(image=IMAGES[0], **options):
  stream = io.BytesIO()
  Image.fromarray(image).save(stream, format="png", **options)
  return stream.getvalue()


def write(path, members, method=zipfile.ZIP_STORED):
  with zipfile.ZipFile(path, "w", method) as file:
    for name, content in members.items():
      text = content if isinstance(content, (bytes, str)) else json.dumps(content)
      file.writestr(name, text)
  return path


def load(path, **options):
  return datasets.load("own", data_dir=str(path), **options)


def refusal(path, **options):
  with pytest.raises(UserError) as caught:
    load(path, **options)
  assert len(str(caught.value).splitlines()) == 1
  return str(caught.value)


@pytest.mark.parametrize("images", [IMAGES, IMAGES[..., :1]], ids=["colour", "grey"])
@pytest.mark.parametrize("labels", [LABELS, None], ids=["labels", "no labels"])
def test_what_is_written_is_read_back(tmp_path, images, labels):
  path = datasets.write_zip(tmp_path / "set.zip", images, labels)
  found = load(path)
  np.testing.assert_array_equal(found.images, images)
  assert found.num_classes == (0 if labels is None else 3)
  if labels is None:
    assert found.labels is None and "no classes, by dataset.json" in found.notice
  else:
    np.testing.assert_array_equal(found.labels, labels)
    assert found.notice == f"{path}: 12 images, 3 classes; 0 left out"
  again = datasets.write_zip(tmp_path / "again.zip", images, labels)
  assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("labels", [LABELS, None], ids=["labels", "no labels"])
def test_a_folder_with_dataset_json_is_read_as_a_zip_is(tmp_path, labels):
  path = datasets.write_zip(tmp_path / "set.zip", IMAGES, labels)
  with zipfile.ZipFile(path) as file:
    file.extractall(tmp_path / "set")
  zipped, found = load(path), load(tmp_path / "set")
  np.testing.assert_array_equal(found.images, zipped.images)
  np.testing.assert_array_equal(found.labels, zipped.labels)
  assert found.num_classes == zipped.num_classes and found.class_names == ()
  assert found.notice == zipped.notice.replace("set.zip", "set")


def test_a_folder_whose_dataset_json_lacks_an_image_is_refused(tmp_path):
  for name in ("a.png", "b.png"):
    (tmp_path / name).write_bytes(png())
  (tmp_path / "dataset.json").write_text('{"labels": [["a.png", 0]]}')
  assert f"dataset.json in {tmp_path} has no label of 1 images (b.png)" in refusal(tmp_path)


def test_the_names_and_the_labels_are_those_of_stylegan(tmp_path):
  datasets.write_zip(tmp_path / "set.zip", np.resize(IMAGES, (1001, 8, 8, 3)), np.arange(1001))
  with zipfile.ZipFile(tmp_path / "set.zip") as file:
    labels = json.loads(file.read("dataset.json"))["labels"]
    assert labels[0] == ["00000/img00000000.png", 0]
    assert labels[1000] == ["00001/img00001000.png", 1000]
    assert file.namelist() == [*(name for name, _ in labels), "dataset.json"]
    assert np.array_equal(Image.open(file.open("00000/img00000003.png")), IMAGES[3])
    assert all(info.compress_type == zipfile.ZIP_STORED for info in file.infolist())


def test_bad_arrays_are_not_written(tmp_path):
  for images, labels in ((IMAGES / 255, None), (IMAGES, LABELS[:3]), (IMAGES, LABELS - 1)):
    with pytest.raises(UserError):
      datasets.write_zip(tmp_path / "set.zip", images, labels)
  assert not list(tmp_path.iterdir())
  with pytest.raises(UserError, match="cannot write .*nowhere"):
    datasets.write_zip(tmp_path / "nowhere" / "set.zip", IMAGES)


def test_order_is_natural_and_what_is_left_out_is_said(tmp_path):
  members = {
    "b/img10.png": png(IMAGES[2]),
    "b/img2.png": png(IMAGES[1]),
    "a/deep/er/1.jpg": png(IMAGES[0]),  # by its content a PNG
    "notes.txt": b"text",
    ".DS_Store": b"x",
    "__MACOSX/b/img2.png": b"x",
    "b/.hidden.png": b"x",
    "empty/": b"",
    "dataset.json": {"labels": [["b/img2.png", 4], ["a/deep/er/1.jpg", 0], ["b/img10.png", 1]]},
  }
  members["dataset.json"]["labels"].append(["gone.png", 9])
  path = write(tmp_path / "set.zip", members, zipfile.ZIP_DEFLATED)
  found = load(path)
  np.testing.assert_array_equal(found.images, IMAGES[:3])
  assert found.labels.tolist() == [0, 4, 1] and found.num_classes == 5
  assert found.notice == (
    f"{path}: 3 images, 5 classes; 5 left out: .DS_Store, __MACOSX/b/img2.png, b/.hidden.png "
    "(hidden), notes.txt (no suffix of an image), gone.png (a label without an image); own has no "
    "example of 2 of its 5 classes: 2, 3"
  )


def test_without_dataset_json_folders_are_no_classes(tmp_path):
  found = load(write(tmp_path / "set.zip", {"a/1.png": png(), "b/1.png": png()}))
  assert found.labels is None and "no classes, for there is no dataset.json" in found.notice


def test_names_that_lead_out_are_keys_and_nothing_is_extracted(tmp_path):
  (tmp_path / "inside").mkdir()
  names = ["/etc/1.png", "C:\\2.png", "a//b/3.png"]
  members = {name: png(image) for name, image in zip(names, IMAGES, strict=False)}
  members |= {"../../4.png": png(), "..\\5.png": png()}
  members["dataset.json"] = {"labels": [[name, i] for i, name in enumerate(names)]}
  path = write(tmp_path / "inside" / "set.zip", members)
  found = load(path)
  np.testing.assert_array_equal(found.images, IMAGES[:3])
  assert found.labels.tolist() == [0, 1, 2]
  assert "2 left out: ../../4.png, ..\\5.png (hidden)" in found.notice
  assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]


def test_image_size_and_splits_are_as_for_folders(tmp_path):
  path = write(tmp_path / "set.zip", {"1.png": png(), "2.png": png(np.zeros((9, 6, 3), np.uint8))})
  assert "1.png in" in refusal(path) and "8x8 and 2.png in" in refusal(path)
  assert load(path, image_size=4).images.shape == (2, 4, 4, 3)
  assert "unknown split 'test'" in refusal(path, split="test")
  assert len(load(path, split="train[:1]", image_size=4).images) == 1


def test_folders_of_splits_are_splits_as_in_a_folder(tmp_path):
  names = ["train/10.png", "test/a/1.png", "train/2.png", "test/2.png", "val/1.png"]
  members = {name: png(image) for name, image in zip(names, IMAGES, strict=False)}
  members["dataset.json"] = {"labels": [[name, i] for i, name in enumerate(names)]}
  path = write(tmp_path / "set.zip", members)
  for split, rows in {"train": [2, 0], "test": [3, 1], "val": [4]}.items():
    found = load(path, split=split)
    np.testing.assert_array_equal(found.images, IMAGES[rows])
    assert found.labels.tolist() == rows and found.num_classes == 5
    many = "images" if len(rows) > 1 else "image"
    assert f"{path / split}: {len(rows)} {many}, 5 classes; 0 left out" in found.notice
  assert "unknown split 'valid'" in refusal(path, split="valid")
  (tmp_path / "folder").mkdir()
  with zipfile.ZipFile(path) as file:
    file.extractall(tmp_path / "folder", [name for name in names if name != "test/a/1.png"])
  for split in ("train", "val"):
    own = load(tmp_path / "folder", split=split).images
    np.testing.assert_array_equal(own, load(path, split=split).images)


@pytest.mark.parametrize(
  "names", [["train/1.png", "2.png"], ["train/1.png", "dogs/2.png"], ["val/1.png", "valid/2.png"]]
)
def test_other_folders_are_one_training_set(tmp_path, names):
  members = {name: png(image) for name, image in zip(names, IMAGES, strict=False)}
  path = write(tmp_path / "set.zip", members)
  assert len(load(path).images) == 2
  assert "has train;" in refusal(path, split="test")


def test_one_zip_in_a_folder_is_read(tmp_path):
  path = datasets.write_zip(tmp_path / "a.ZIP", IMAGES, LABELS)
  (tmp_path / "readme.txt").write_text("text")
  (tmp_path / "._a.zip").write_bytes(b"x")
  found, named = load(tmp_path), load(path)
  np.testing.assert_array_equal(found.images, IMAGES)
  np.testing.assert_array_equal(found.labels, LABELS)
  assert found.notice == named.notice and found.source == str(tmp_path)
  datasets.write_zip(tmp_path / "b.zip", IMAGES)
  assert "holds several .zip (a.ZIP, b.zip): name one of these files" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["1.png", "cat/1.png", "train/cat/1.png"])
def test_images_beside_a_zip_go_first(tmp_path, name):
  datasets.write_zip(tmp_path / "a.zip", IMAGES)
  (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
  (tmp_path / name).write_bytes(png())
  assert len(load(tmp_path).images) == 1


def test_arrays_beside_a_zip_go_first(tmp_path):
  datasets.write_zip(tmp_path / "a.zip", IMAGES)
  np.savez(tmp_path / "a.npz", images=IMAGES[:2])
  assert len(load(tmp_path).images) == 2


@pytest.mark.parametrize("name", ["set", "set.npz", "set.zip.tmp"])
def test_a_zip_is_written_under_a_name_by_which_it_is_read(tmp_path, name):
  with pytest.raises(UserError, match="let it end in .zip") as caught:
    datasets.write_zip(tmp_path / name, IMAGES)
  assert len(str(caught.value).splitlines()) == 1 and not list(tmp_path.iterdir())


def test_a_zip_is_found_by_its_name(tmp_path, monkeypatch):
  datasets.write_zip(tmp_path / "birds.zip", IMAGES)
  monkeypatch.setenv("GAN_DATA_DIR", str(tmp_path))
  assert len(datasets.load("birds").images) == len(datasets.load("birds", "train[:5]").images) + 7


# Hostile files.

BAD_LABELS = {
  "absent": ({}, "labels is missing"),
  "a list": ([["1.png", 0]], "it is .* where an object belongs"),
  "an object": ({"labels": {"1.png": 0}}, "where a list"),
  "a float": ({"labels": [["1.png", 0.0]]}, r"labels\[0\] is .* where a pair"),
  "a vector": ({"labels": [["1.png", [0.0, 1.0]]]}, "where a pair"),
  "true": ({"labels": [["1.png", True]]}, "where a pair"),
  "text": ({"labels": [["1.png", "0"]]}, "where a pair"),
  "negative": ({"labels": [["1.png", -1]]}, "where a pair"),
  "too large": ({"labels": [["1.png", MAX_CLASSES]]}, f"at most {MAX_CLASSES - 1}"),
  "an integer of many digits": ({"labels": [["1.png", 10**30]]}, "where a pair"),
  "more classes than can be": ({"labels": [["1.png", 1000]]}, "1,001 classes of 1 examples"),
  "several": ({"labels": [["1.png", 0], ["1.png", 1]]}, "several labels of one image"),
  "of another image": ({"labels": [["2.png", 0]]}, r"no label of 1 images \(1.png\)"),
  "no JSON": (b"{", "it is no JSON"),
  "deep": (b"[" * 10**5, "nested"),
  "no UTF-8": (b'{"labels": "\xff"}', "no UTF-8"),
}


@pytest.mark.parametrize("kind", BAD_LABELS)
def test_labels_that_are_none_are_refused(tmp_path, kind):
  content, message = BAD_LABELS[kind]
  path = write(tmp_path / "set.zip", {"1.png": png(), "dataset.json": content})
  with pytest.raises(UserError, match=message) as caught:
    load(path)
  assert str(path) in str(caught.value) and len(str(caught.value).splitlines()) == 1


def encrypted(path):
  content = bytearray(write(path, {"1.png": png()}).read_bytes())
  for magic, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
    content[content.index(magic) + flags] |= 1
  path.write_bytes(content)


def twice(path):
  with pytest.warns(UserWarning, match="Duplicate"):
    write(path, {"1.png": png()})
    with zipfile.ZipFile(path, "a") as file:
      file.writestr("1.png", png())


BAD_FILES = {
  "encrypted": (encrypted, "1.png: it is encrypted"),
  "twice": (twice, "it holds 1.png twice"),
  "empty": (lambda path: path.write_bytes(b""), "as a zip of images"),
  "no zip": (lambda path: path.write_bytes(png()), "as a zip of images"),
  "truncated": (
    lambda path: path.write_bytes(write(path, {"1.png": png()}).read_bytes()[:-30]),
    "as a zip of images",
  ),
  "no image": (lambda path: write(path, {"notes.txt": b"x"}), "holds no image .* notes.txt"),
  "no members": (lambda path: write(path, {}), "holds no image"),
  "another format": (lambda path: write(path, {"1.png": b"%!PS-Adobe"}), "none of PNG, JPEG"),
  "an image cut short": (lambda path: write(path, {"1.png": png()[:-40]}), "1.png in .* as an im"),
  "a name of two lines": (lambda path: write(path, {"1\n2.png": b"x"}), r"'1\\n2.png' in"),
  "lzma": (
    lambda path: write(path, {"1.png": png()}, zipfile.ZIP_LZMA),
    "1.png: it is packed by a method that is not read",
  ),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_file_is_one_line_that_names_it(tmp_path, kind):
  make, message = BAD_FILES[kind]
  path = tmp_path / "set.zip"
  make(path)
  with pytest.raises(UserError, match=message) as caught:
    load(path)
  assert str(path) in str(caught.value) and len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["1.png", "dataset.json"])
def test_what_a_member_declares_is_looked_at_before_it_is_unpacked(tmp_path, monkeypatch, name):
  monkeypatch.setattr(archive, "MAX_MEMBER", 10_000)
  members = {"1.png": png(), "dataset.json": {"labels": None}, name: bytes(10_001)}
  path = write(tmp_path / "set.zip", members, zipfile.ZIP_DEFLATED)
  monkeypatch.setattr(archive, "read_up_to", None)  # nothing is read
  if name == "1.png":
    path = write(tmp_path / "set.zip", {name: bytes(10_001)}, zipfile.ZIP_DEFLATED)
  assert f"{name}: it has 10,001 bytes, and at most 10,000" in refusal(path)


def test_a_size_that_is_not_true_is_noticed(tmp_path):
  path = write(tmp_path / "set.zip", {"1.png": png()}, zipfile.ZIP_DEFLATED)
  content = bytearray(path.read_bytes())
  for magic, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
    begin = content.index(magic) + place
    content[begin : begin + 4] = (100).to_bytes(4, "little")
  path.write_bytes(content)
  assert "1.png: Bad CRC-32" in refusal(path)
