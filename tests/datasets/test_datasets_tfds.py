"""tensorflow-datasets without TensorFlow, on tiny files made here; nothing is downloaded."""

import gzip
import io
import json
import pathlib
import socket
import struct
import sys
import tarfile
import time

import numpy as np
import pytest
import tensorflow_datasets
from PIL import Image

from experiments import images as images_command
from gan import datasets
from gan.datasets import base, decoded, tfds
from gan.errors import UserError

COUNTS = {"train": 30, "test": 12}


@pytest.fixture(autouse=True)
def root(monkeypatch, tmp_path):
  monkeypatch.delenv("GAN_DATA_DIR", raising=False)
  monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
  monkeypatch.setattr(tfds, "reachable", lambda url: False)
  return tmp_path / "tfds"


def serve(monkeypatch, folder):
  """Hands TFDS the files of `folder` for the addresses it asks for; returns the list of these."""
  asked = []

  def download(manager, urls):
    asked.extend([urls] if isinstance(urls, str) else urls.values())
    if isinstance(urls, str):
      return folder / pathlib.PurePosixPath(urls).name
    return {key: folder / pathlib.PurePosixPath(url).name for key, url in urls.items()}

  monkeypatch.setattr(tensorflow_datasets.download.DownloadManager, "download", download)
  return asked


def write_idx(folder):
  folder.mkdir()
  arrays = {}
  for split, prefix in (("train", "train"), ("test", "t10k")):
    count = COUNTS[split]
    images = np.random.default_rng(count).integers(256, size=(count, 28, 28), dtype=np.uint8)
    labels = (np.arange(count) % 10).astype(np.uint8)
    for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
      header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
      (folder / f"{prefix}-{kind}-ubyte.gz").write_bytes(gzip.compress(header + array.tobytes()))
    arrays[split] = images[..., None], labels
  return arrays


def write_cifar(folder):
  folder.mkdir()
  images = np.random.default_rng(0).integers(256, size=(6, 32, 32, 3), dtype=np.uint8)
  labels = np.array([3, 1, 4, 1, 5, 9], np.uint8)
  records = [
    bytes([label]) + image.transpose(2, 0, 1).tobytes()
    for image, label in zip(images, labels, strict=True)
  ]
  files = {f"data_batch_{i + 1}.bin": records[i] for i in range(5)}
  files |= {
    "test_batch.bin": records[5],
    "batches.meta.txt": b"\n".join(b"abcdefghij"[i : i + 1] for i in range(10)),
  }
  with tarfile.open(folder / "cifar-10-binary.tar.gz", "w:gz") as tar:
    for name, content in files.items():
      member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
      member.size = len(content)
      tar.addfile(member, io.BytesIO(content))
  return {"train": (images[:5], labels[:5]), "test": (images[5:], labels[5:])}


def pairs(images, labels):
  return sorted((image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True))


@pytest.mark.parametrize(
  "name, write",
  [
    ("mnist", write_idx),
    ("fashion_mnist", write_idx),
    ("cifar10", write_cifar),
  ],
)
def test_a_set_prepared_without_tensorflow_gives_its_arrays_back(
  root, tmp_path, monkeypatch, capsys, name, write
):
  arrays = write(tmp_path / "raw")
  asked = serve(monkeypatch, tmp_path / "raw")
  for split, (images, labels) in arrays.items():
    dataset = datasets.load(name, split)
    assert pairs(dataset.images, dataset.labels) == pairs(images, labels)
    assert dataset.images.shape == images.shape and dataset.labels.dtype == np.int32
    assert (dataset.name, dataset.num_classes, dataset.notice) == (name, 10, "")
    assert dataset.source.startswith(f"tensorflow-datasets {name} 3.0.")
  assert set(asked) <= set(tensorflow_datasets.builder_cls(name).url_infos)
  assert "tensorflow" not in sys.modules
  assert capsys.readouterr().out == ""


def test_the_stock_builder_reads_what_was_prepared(root, tmp_path, monkeypatch):
  write_idx(tmp_path / "raw")
  serve(monkeypatch, tmp_path / "raw")
  ours = datasets.load("mnist", "test")
  stock = tensorflow_datasets.data_source("mnist", split="test", data_dir=root, download=False)
  np.testing.assert_array_equal(np.stack([e["image"] for e in stock]), ours.images)
  assert [int(e["label"]) for e in stock] == ours.labels.tolist()


def test_the_second_load_reads_the_cache_alone(root, tmp_path, monkeypatch):
  write_idx(tmp_path / "raw")
  serve(monkeypatch, tmp_path / "raw")
  first = datasets.load("mnist")
  monkeypatch.setattr(tfds, "_decode", None)
  again = datasets.load("mnist")
  np.testing.assert_array_equal(first.images, again.images)
  np.testing.assert_array_equal(first.labels, again.labels)
  assert again._replace(images=None, labels=None) == first._replace(images=None, labels=None)
  assert not list(root.rglob("*.tmp"))


def test_a_damaged_cache_is_made_again(root, tmp_path, monkeypatch):
  write_idx(tmp_path / "raw")
  serve(monkeypatch, tmp_path / "raw")
  first = datasets.load("mnist")
  (cache,) = root.rglob("gan_train.npz")
  whole = cache.read_bytes()
  cache.write_bytes(whole[:-100])
  np.testing.assert_array_equal(datasets.load("mnist").images, first.images)
  assert cache.read_bytes() == whole


def test_a_cache_that_cannot_be_written_costs_nothing_else(root, tmp_path, monkeypatch):
  write_idx(tmp_path / "raw")
  serve(monkeypatch, tmp_path / "raw")

  def refuse(*args, **arrays):
    raise PermissionError("closed for writing")

  monkeypatch.setattr(np, "savez", refuse)
  assert len(datasets.load("mnist").images) == COUNTS["train"]
  assert not list(root.rglob("gan_*"))


def test_a_prepared_folder_is_found_through_data_dir(root, tmp_path, monkeypatch):
  write_idx(tmp_path / "raw")
  serve(monkeypatch, tmp_path / "raw")
  datasets.load("mnist")
  monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "other"))
  for place in (root, root / "mnist", root / "mnist" / "3.0.1"):
    for name in ("mnist", "auto"):
      dataset = datasets.load(name, "train[:5]", str(place))
      assert dataset.name == "mnist" and len(dataset.images) == 5
  with pytest.raises(UserError, match="another prepared TFDS set than fashion_mnist"):
    datasets.load("fashion_mnist", data_dir=str(root / "mnist" / "3.0.1"))


def test_an_unknown_split_lists_the_splits_of_the_set(tmp_path, monkeypatch):
  write_idx(tmp_path / "raw")
  serve(monkeypatch, tmp_path / "raw")
  with pytest.raises(UserError, match="unknown split 'validation'.*(train, test|test, train)"):
    datasets.load("mnist", "validation")


def test_damaged_raw_files_are_one_line_and_leave_no_set(root, tmp_path, monkeypatch):
  write_idx(tmp_path / "raw")
  serve(monkeypatch, tmp_path / "raw")
  path = tmp_path / "raw" / "t10k-images-idx3-ubyte.gz"
  path.write_bytes(path.read_bytes()[:-20])
  with pytest.raises(UserError, match="cannot read .*t10k-images") as caught:
    datasets.load("mnist")
  assert "\n" not in str(caught.value)
  assert tfds.find(root, "mnist") is None


def test_raw_files_are_checked_against_the_published_sums(root, tmp_path):
  write_idx(root.parent / "raw")
  (root / "downloads").mkdir(parents=True)
  (root.parent / "raw").rename(root / "downloads" / "manual")
  with pytest.raises(base.UnavailableError, match="NonMatchingChecksumError"):
    datasets.load("mnist")


def test_a_tfrecord_set_is_left_alone_and_refused_where_it_was_named(root, tmp_path, monkeypatch):
  write_idx(tmp_path / "raw")
  serve(monkeypatch, tmp_path / "raw")
  datasets.load("mnist")
  version = root / "mnist" / "3.0.1"
  info = json.loads((version / "dataset_info.json").read_text())
  (version / "dataset_info.json").write_text(json.dumps(info | {"fileFormat": "tfrecord"}))
  with pytest.raises(UserError, match="prepared as tfrecord"):
    datasets.load("mnist", data_dir=str(root))
  assert str(root / "array_record" / "mnist") in datasets.load("mnist").source
  assert json.loads((version / "dataset_info.json").read_text())["fileFormat"] == "tfrecord"


def test_damaged_records_are_one_line(root, tmp_path, monkeypatch):
  write_idx(tmp_path / "raw")
  serve(monkeypatch, tmp_path / "raw")
  datasets.load("mnist", "test")
  (record,) = root.rglob("mnist-train.array_record*")
  record.write_bytes(record.read_bytes()[:200])
  with pytest.raises(UserError, match="delete it to prepare it again") as caught:
    datasets.load("mnist", "train")
  assert "\n" not in str(caught.value)


class PhotoSet(tensorflow_datasets.core.GeneratorBasedBuilder, skip_registration=True):
  """Two JPEGs of different sizes, without labels."""

  VERSION = tensorflow_datasets.core.Version("1.2.0")

  def _info(self):
    image = tensorflow_datasets.features.Image(shape=(None, None, 3))
    features = tensorflow_datasets.features.FeaturesDict({"image": image})
    return tensorflow_datasets.core.DatasetInfo(builder=self, features=features)

  def _split_generators(self, downloads):
    return {"train": self._generate_examples()}

  def _generate_examples(self):
    for index, size in enumerate([(8, 8), (12, 8)]):
      yield index, {"image": Image.new("RGB", size, (9, 9, 9))}


def test_a_configuration_is_not_taken_for_another(root):
  folder = root / "emnist" / "letters" / "3.1.0"
  folder.mkdir(parents=True)
  info = {"name": "emnist", "configName": "letters", "fileFormat": "array_record"}
  (folder / "dataset_info.json").write_text(json.dumps(info))
  assert tfds.find(root, "emnist/letters") == tfds.find(folder, "emnist/letters") == folder
  assert tfds.find(root, "emnist/byclass") is tfds.find(folder, "emnist/byclass") is None


def test_the_newest_version_is_taken_by_number(root):
  for version in ("3.0.2", "3.0.10", "incomplete.3.0.11"):
    (root / "mnist" / version).mkdir(parents=True)
    (root / "mnist" / version / "dataset_info.json").write_text('{"name": "mnist"}')
  assert tfds.find(root, "mnist").name == "3.0.10"


def test_any_prepared_image_set_is_read_and_needs_image_size_for_several_sizes(root):
  tensorflow_datasets.disable_progress_bar()
  builder = PhotoSet(data_dir=root, file_format="array_record")
  builder.download_and_prepare(file_format="array_record")
  with pytest.raises(UserError, match="8x8 and record 1 of .* 8x12: give `image_size`"):
    datasets.load("photo_set")
  for _ in range(2):
    dataset = datasets.load("photo_set", image_size=4)
    assert dataset.images.shape == (2, 4, 4, 3) and (dataset.images == 9).all()
    assert dataset.labels is None and dataset.num_classes == 0
    assert "photo_set 1.2.0" in dataset.source


class Published(tensorflow_datasets.core.GeneratorBasedBuilder, skip_registration=True):
  """A few images under the name of a published set, with its features."""

  VERSION = tensorflow_datasets.core.Version("1.0.0")
  name = "celeb_a"
  images: list = []

  def _info(self):
    kinds = tensorflow_datasets.features
    features = {"image": kinds.Image(shape=self.images[0].shape), **self.others(kinds)}
    return tensorflow_datasets.core.DatasetInfo(builder=self, features=kinds.FeaturesDict(features))

  def others(self, kinds):
    return {"attributes": {"Smiling": np.bool_}, "landmarks": {"nose_x": np.int64}}

  def record(self, index):
    return {"attributes": {"Smiling": True}, "landmarks": {"nose_x": 3}}

  def _split_generators(self, downloads):
    return {"train": self._generate_examples()}

  def _generate_examples(self):
    for index, image in enumerate(self.images):
      yield index, {"image": Image.fromarray(image), **self.record(index)}


class Resized(Published, skip_registration=True):
  name = "imagenet_resized"
  BUILDER_CONFIGS = [
    tensorflow_datasets.core.BuilderConfig(name=size, version="0.1.0")
    for size in ("32x32", "64x64")
  ]

  def others(self, kinds):
    return {"label": kinds.ClassLabel(num_classes=1000)}

  def record(self, index):
    return {"label": 7 * index}


def prepare_published(root, builder_class, shape, monkeypatch, **options):
  """Prepares five images and returns them in the order of the records."""
  tensorflow_datasets.disable_progress_bar()
  images = np.random.default_rng(0).integers(256, size=(5, *shape), dtype=np.uint8)
  monkeypatch.setattr(builder_class, "images", list(images))
  builder = builder_class(data_dir=root, file_format="array_record", **options)
  builder.download_and_prepare(file_format="array_record")
  records = tensorflow_datasets.builder_from_directory(builder.data_dir).as_data_source("train")
  order = [[np.array_equal(example["image"], image) for image in images] for example in records]
  return images, [row.index(True) for row in order]


@pytest.mark.parametrize("form", ["beside the records", "mapped", "not kept elsewhere"])
@pytest.mark.parametrize("side", [32, 64])
def test_imagenet_is_read_by_its_name(root, monkeypatch, tmp_path, side, form):
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
  if form != "beside the records":
    monkeypatch.setattr(decoded, "LARGE", 1)
  if form == "not kept elsewhere":
    monkeypatch.setattr(decoded, "lasting_folder", lambda: None)
  elif form == "mapped":
    monkeypatch.setattr(decoded, "BLOCK", 2 * side**2 * 3)
  size = f"{side}x{side}"
  images, order = prepare_published(root, Resized, (side, side, 3), monkeypatch, config=size)
  for _ in range(2):
    dataset = datasets.load(f"imagenet_resized/{size}")
    np.testing.assert_array_equal(dataset.images, images[order])
    assert dataset.labels.tolist() == [7 * i for i in order] and dataset.num_classes == 1000
    assert dataset.notice == "" and dataset.name == f"imagenet_resized/{size}"
  assert len(list(root.rglob("gan_train.npz"))) == (form != "mapped")
  assert len(list(tmp_path.rglob("blocks.jsonl"))) == (form == "mapped")
  other = {32: "64x64", 64: "32x32"}[side]
  with pytest.raises(base.UnavailableError, match=f"imagenet_resized/{other} is not at hand"):
    datasets.load(f"imagenet_resized/{other}")


def test_celeb_a_is_cropped_to_the_centre_and_has_no_labels(root, monkeypatch):
  images, order = prepare_published(root, Published, (14, 10, 3), monkeypatch)
  dataset = datasets.load("celeb_a", image_size=10)
  np.testing.assert_array_equal(dataset.images, images[order][:, 2:12])
  assert dataset.labels is None and (dataset.name, dataset.notice) == ("celeb_a", "")
  assert datasets.load("celeb_a", image_size=4).images.shape == (5, 4, 4, 3)


def test_a_prepared_set_trains_by_its_name_without_data_dir(root, monkeypatch, tmp_path, capsys):
  prepare_published(root, Published, (14, 10, 3), monkeypatch)
  flags = ["--dataset=celeb_a", "--image_size=8", "--model=mlp", "--batch_size=4"]
  flags += ["--steps=1", "--data_on=host", "--mirror", f"--workdir={tmp_path / 'run'}"]
  assert images_command.main(["images", *flags]) == 0, capsys.readouterr().err
  record = json.loads((tmp_path / "run" / "config.json").read_text())
  assert record["num_examples"] == 5 and record["data"]["name"] == "celeb_a"


def test_what_needs_tensorflow_says_so(monkeypatch):
  monkeypatch.setattr(tfds.importlib.util, "find_spec", lambda name: None)
  for name in ("cifar100", "kmnist", "emnist/letters", "svhn_cropped"):
    with pytest.raises(UserError, match="needs TensorFlow: pip install tensorflow.*`data_dir="):
      datasets.load(name)


def test_an_unknown_configuration_is_one_line():
  with pytest.raises(UserError, match="BuilderConfig nope not found") as caught:
    datasets.load("emnist/nope")
  assert "\n" not in str(caught.value)


def test_a_root_that_cannot_be_written_is_one_line(tmp_path, monkeypatch):
  (tmp_path / "file").write_bytes(b"")
  monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "file" / "tfds"))
  with pytest.raises(UserError, match="mnist is not at hand.*NotADirectoryError"):
    datasets.load("mnist")
  assert datasets.load("auto").name == "digits"


def test_a_silent_server_is_given_up_within_seconds(monkeypatch):
  monkeypatch.undo()
  monkeypatch.setattr(tfds, "PATIENCE", 0.3)
  with socket.create_server(("127.0.0.1", 0)) as server:
    start = time.monotonic()
    assert not tfds.reachable(f"http://127.0.0.1:{server.getsockname()[1]}/file")
  assert time.monotonic() - start < 3


def test_a_closed_port_is_given_up_at_once(monkeypatch):
  monkeypatch.undo()
  with socket.create_server(("127.0.0.1", 0)) as server:
    port = server.getsockname()[1]
  assert not tfds.reachable(f"http://127.0.0.1:{port}/file")
