"""Large sets of images: decoded once into an array on disk, whatever happens to it meanwhile."""

import errno
import io
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from gan import datasets
from gan.datasets import decode, decoded
from gan.errors import UserError
from gan.system import files, memory

COUNT, SIDE = 50, 8


@pytest.fixture(autouse=True)
def large(tmp_path, monkeypatch):
  """Sets of these tests are large, in blocks of four images; returns the cache folder."""
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
  monkeypatch.setattr(decoded, "LARGE", COUNT * SIDE**2 * 3)
  monkeypatch.setattr(decoded, "BLOCK", 4 * SIDE**2 * 3)
  return tmp_path / "cache" / "gan" / "decoded"


@pytest.fixture
def said(monkeypatch):
  """The lines that the user is told."""
  lines = []
  monkeypatch.setattr(decoded, "say", lines.append)
  return lines


@pytest.fixture
def read(monkeypatch):
  """The names of the files that are decoded."""
  names, real = [], decode.read

  def watched(file, name, image_size):
    names.append(pathlib.Path(name).name)
    return real(file, name, image_size)

  monkeypatch.setattr(decode, "read", watched)
  return names


@pytest.fixture
def photos(tmp_path):
  """(folder, images): PNG files in two classes, one with transparency."""
  images = np.random.default_rng(0).integers(256, size=(COUNT, SIDE, SIDE, 3), dtype=np.uint8)
  for i, image in enumerate(images):
    path = tmp_path / "photos" / ("cat" if i < 20 else "dog") / f"{i}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(image)
    if i == 28:  # the first of a block
      picture.putalpha(200)
    picture.save(path)
  return tmp_path / "photos", images


def load(folder, **options):
  return datasets.load("pets", data_dir=str(folder), **options)


def in_memory(folder, monkeypatch, **options):
  with monkeypatch.context() as patch:
    patch.setattr(decoded, "LARGE", 2**40)
    return load(folder, **options)


def same(one, other):
  np.testing.assert_array_equal(one.images, other.images)
  np.testing.assert_array_equal(one.labels, other.labels)
  assert one.notice == other.notice and datasets.digest(one) == datasets.digest(other)


def is_mapped(array):
  while array is not None and not isinstance(array, np.memmap):
    array = getattr(array, "base", None)
  return array is not None


def test_the_second_load_decodes_one_image_and_gives_the_same(photos, large, said, read):
  folder, images = photos
  first = load(folder)
  (kept,) = large.iterdir()
  size = memory.shown((kept / "images.npy").stat().st_size)
  assert len(said) == 1 and f"kept in {kept}, {size}; delete that folder when" in said[0]
  said.clear()
  assert is_mapped(first.images) and not first.images.flags.writeable
  np.testing.assert_array_equal(first.images, images)
  assert "1 with transparency, which is dropped" in first.notice
  assert len(read) == COUNT + 1  # the first tells the size
  read.clear()
  same(load(folder), first)
  assert read == ["0.png"] and said == []


@pytest.mark.parametrize("form", ["folder", "zip"])
@pytest.mark.parametrize("image_size", [None, 4])
def test_it_is_the_set_that_is_decoded_in_memory(photos, monkeypatch, form, image_size, tmp_path):
  folder, images = photos
  if form == "zip":
    folder = datasets.write_zip(tmp_path / "set.zip", images, np.arange(COUNT) % 5)
  monkeypatch.setattr(decoded, "LARGE", 1)
  expected = in_memory(folder, monkeypatch, image_size=image_size)
  assert not is_mapped(expected.images)
  for _ in range(2):
    found = load(folder, image_size=image_size)
    assert is_mapped(found.images)
    same(found, expected)


def test_a_smaller_set_is_not_kept(photos, large, monkeypatch):
  monkeypatch.setattr(decoded, "LARGE", decoded.LARGE + 1)
  assert not is_mapped(load(photos[0]).images)
  assert not large.exists()


def test_a_set_is_the_same_by_whatever_path(photos, large, tmp_path, monkeypatch):
  first = load(photos[0])
  monkeypatch.chdir(tmp_path)
  np.testing.assert_array_equal(load("photos").images, first.images)
  assert len(list(large.iterdir())) == 1


def test_the_array_is_one_that_numpy_reads(photos, large):
  folder, images = photos
  load(folder)
  (path,) = large.rglob("images.npy")
  np.testing.assert_array_equal(np.load(path, mmap_mode="r"), images)


@pytest.mark.parametrize("change", ["time", "content", "name", "one more", "image_size"])
def test_what_changed_is_decoded_anew(photos, large, monkeypatch, change):
  folder, _ = photos
  load(folder)
  path, options = folder / "cat" / "3.png", {}
  if change == "time":
    os.utime(path, ns=(1, 1))
  elif change == "content":
    Image.new("RGB", (SIDE, SIDE), (7, 7, 7)).save(path)
  elif change == "name":
    path.rename(path.with_name("300.png"))
  elif change == "one more":
    shutil.copy(path, path.with_name("4000.png"))
  else:
    monkeypatch.setattr(decoded, "LARGE", 1)
    options = {"image_size": 4}
  same(load(folder, **options), in_memory(folder, monkeypatch, **options))
  assert len(list(large.iterdir())) == 2


# What happens to the files.


def cut(array, lines):
  array.write_bytes(array.read_bytes()[:-1])


def foreign(array, lines):
  np.save(array, np.zeros((COUNT, SIDE, SIDE, 1), np.uint8))


def flip(array, lines):
  content = bytearray(array.read_bytes())
  content[-5 * SIDE**2 * 3] ^= 1
  array.write_bytes(content)


def other_notes(array, lines):
  lines.write_text(lines.read_text().replace('"notes": "01', '"notes": "02', 1))


DAMAGE = {
  "cut": (cut, "is not the array of these images"),
  "foreign": (foreign, "is not the array of these images"),
  "flipped": (flip, "1 of 13 blocks are damaged: decoding these again"),
  "other notes": (other_notes, "1 of 13 blocks are damaged"),
  "lines gone": (lambda array, lines: lines.unlink(), None),
  "lines empty": (lambda array, lines: lines.write_bytes(b""), None),
  "lines cut": (lambda array, lines: lines.write_bytes(lines.read_bytes()[:-9]), None),
  "lines no JSON": (lambda array, lines: lines.write_text("{\n"), "blocks.jsonl is damaged"),
  "lines of another kind": (
    lambda array, lines: lines.write_text('{"block": -1, "crc32": 0, "notes": ""}\n'),
    "blocks.jsonl is damaged",
  ),
  "notes no number": (
    lambda array, lines: lines.write_text('{"block": 0, "crc32": 0, "notes": "z"}\n'),
    "1 of 13 blocks are damaged",
  ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_files_are_made_again_with_one_line(photos, large, said, kind):
  folder, _ = photos
  first = load(folder)
  expected = first._replace(images=np.array(first.images))
  ((array,), (lines,)) = (list(large.rglob(name)) for name in ("images.npy", "blocks.jsonl"))
  damage, line = DAMAGE[kind]
  damage(array, lines)
  said.clear()
  same(load(folder), expected)
  assert len(said) == (line is not None) and (line or "") in "".join(said)
  said.clear()
  same(load(folder), expected)
  assert said == []


def test_checking_shows_how_many_images_are_checked(photos, monkeypatch):
  shown, real = [], decoded.CountProgress

  class Watched(real):
    def __init__(self, what, total, start, unit):
      shown.append((what.split()[0], total, start))
      super().__init__(what, total, start, unit)

    def advance(self, count):
      shown.append(count)
      super().advance(count)

  monkeypatch.setattr(decoded, "CountProgress", Watched)
  load(photos[0])
  assert shown == [("Decoding", COUNT, 0), *[4] * 12, 2]
  shown.clear()
  load(photos[0])
  assert shown == [("Checking", COUNT, 0), *[4] * 12, 2]


def test_one_damaged_block_alone_is_decoded(photos, large, said, read):
  folder, _ = photos
  load(folder)
  flip(*large.rglob("images.npy"), None)
  read.clear()
  load(folder)
  assert sorted(read, key=lambda name: int(name[:-4])) == [
    "0.png",
    *(f"{i}.png" for i in range(44, 48)),
  ]


def test_a_kill_leaves_what_was_done(photos, large, monkeypatch, read):
  folder, images = photos
  code = f"""
import os, signal, sys
from gan import datasets
from gan.datasets import decode, decoded
decoded.LARGE, decoded.BLOCK, decoded.MAX_THREADS = {decoded.LARGE}, {decoded.BLOCK}, 1
real, count = decode.read, 0
def read(*args):
  global count
  count += 1
  if count == 31:
    os.kill(os.getpid(), signal.SIGKILL)
  return real(*args)
decode.read = read
datasets.load("pets", data_dir={str(folder)!r})
"""
  ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
  assert ended.returncode == -signal.SIGKILL
  (lines,) = large.rglob("blocks.jsonl")
  assert lines.read_text().count("\n") == 7  # of the first 29 images, after the one for the size
  np.testing.assert_array_equal(load(folder).images, images)
  assert len(read) == 1 + COUNT - 4 * 7


def test_processes_at_once_wait_for_each_other(photos, large, said, read):
  folder, images = photos
  found = []
  threads = [threading.Thread(target=lambda: found.append(load(folder))) for _ in range(3)]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  assert len(found) == 3 and len(read) == COUNT + 3  # decoded once
  for dataset in found:
    np.testing.assert_array_equal(dataset.images, images)
  others = [line for line in said if "another process decodes it; waiting" not in line]
  assert len(others) == 1 and "kept in" in others[0]


# Where nothing can be kept.


class Full(io.FileIO):
  """A file on a disk that has room for `room` blocks."""

  room, code = 0, errno.ENOSPC

  def write(self, content):
    if not self.room:
      raise OSError(self.code, os.strerror(self.code))
    self.room -= 1
    return super().write(content)


class Filling(Full):
  room = 3


class Quota(Filling):
  code = errno.EDQUOT


class Short(io.FileIO):
  def write(self, content):
    return super().write(content[:1])


def on(kind):
  """`open`, with the array in a file of this kind."""
  return lambda path, mode, *args, **options: (
    kind(path, mode) if mode == "r+b" else open(path, mode, *args, **options)
  )


NOWHERE = {
  "no folder": (decoded, "lasting_folder", lambda: None, "there is no cache folder"),
  "a closed folder": (
    decoded,
    "lasting_folder",
    lambda: pathlib.Path("/dev/null"),
    "Not a directory",
  ),
  "a full disk": (decoded, "open", on(Full), "No space left"),
  "a disk that fills": (decoded, "open", on(Filling), "No space left"),
  "a quota": (decoded, "open", on(Quota), "quota exceeded"),
  "a disk that takes a part": (decoded, "open", on(Short), "No space left"),
  "too small a disk": (shutil, "disk_usage", lambda folder: SimpleNamespace(free=9), "No space"),
}


@pytest.mark.parametrize("kind", NOWHERE)
def test_what_cannot_be_kept_is_decoded_in_memory_with_one_line(
  photos, large, said, monkeypatch, kind
):
  folder, images = photos
  home, name, value, line = NOWHERE[kind]
  monkeypatch.setattr(home, name, value, raising=name != "open")
  found = load(folder)
  assert not is_mapped(found.images)
  np.testing.assert_array_equal(found.images, images)
  *begun, last = said
  assert "decoded in memory" in last and line in last
  assert len(begun) == ("; what was decoded there is removed" in last) == (name == "open")
  assert not [*large.rglob("images.npy"), *large.rglob("blocks.jsonl")]


def test_what_fits_neither_disk_nor_memory_is_refused(photos, said, monkeypatch):
  monkeypatch.setattr(decoded, "lasting_folder", lambda: None)
  monkeypatch.setattr(memory, "machine_bytes", lambda: 1000)
  with pytest.raises(UserError, match="the 50 images of .* make image_size smaller"):
    load(photos[0])


# Bad images among many.


def test_what_the_system_says_of_the_source_is_no_fault_of_the_disk(photos, large, said, read):
  folder, _ = photos
  (folder / "dog" / "99.png").symlink_to("nowhere")
  with pytest.raises(UserError, match="cannot read .*99.png: it is a link to nothing"):
    load(folder)
  assert len(read) == 1 and said == [] and not large.exists()


def test_an_error_of_reading_is_no_fault_of_the_disk(photos, said, monkeypatch):
  real = decode.read

  def broken(path, name, image_size):
    if path.name == "33.png":
      raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
    return real(path, name, image_size)

  monkeypatch.setattr(decode, "read", broken)
  with pytest.raises(UserError, match="cannot read .*33.png: Input/output error"):
    load(photos[0])
  assert "decoded in memory" not in "".join(said)


@pytest.mark.parametrize(
  "picture, message",
  [
    (Image.new("L", (SIDE, SIDE)), "0.png and .*33.png differ in mode"),
    (Image.new("RGB", (SIDE, 9)), "0.png is 8x8 and .*33.png 9x8: give `image_size`"),
    (None, "33.png as an image"),
  ],
)
def test_a_bad_image_is_named_and_what_was_done_stays(photos, large, monkeypatch, picture, message):
  folder, _ = photos
  path = folder / "dog" / "33.png"
  if picture is None:
    path.write_bytes(path.read_bytes()[:60])
  else:
    picture.save(path)
  for _ in range(2):
    with pytest.raises(UserError, match=message):
      load(folder)


def test_images_too_large_are_refused_whatever_other_threads_have_open(photos, monkeypatch):
  """Warnings are of the process: an image that is closed must not let the next ones pass."""
  folder, _ = photos
  before = list(warnings.filters)
  large = folder / "dog" / "49.png"
  Image.new("RGB", (SIDE, SIDE + 1)).save(large)
  monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", SIDE**2)
  first, second = (files.image(folder / "cat" / name) for name in ("1.png", "2.png"))
  first.__enter__()
  second.__enter__()
  first.__exit__(None, None, None)
  with pytest.raises(UserError, match="49.png as an image.*exceeds limit"), files.image(large):
    pass
  second.__exit__(None, None, None)
  assert warnings.filters == before
  with pytest.raises(UserError, match="49.png as an image.*exceeds limit"):
    load(folder)
