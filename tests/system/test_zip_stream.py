"""Zips that grow in constant memory, as other programs read them, and after a kill."""

import io
import json
import shutil
import subprocess
import zipfile

import numpy as np
import pytest

from gan.errors import UserError
from gan.system.zip_stream import ZipStream

PARTS = [b"begun ", b"and gone on with ", b"\0" * 70_000]


def written(path, stop=None):
  """Writes three members; where `stop` is given, a new stream goes on before that part."""
  stream = ZipStream(path, {})
  stream.add("first.txt", b"one")
  stream.begin("a/päßt.bin")
  for number, part in enumerate(PARTS):
    if number == stop:
      mark = json.loads(json.dumps(stream.mark()))
      stream.write(b"lost with the process")
      stream.close()
      stream = ZipStream(path, mark)
    stream.write(part)
  stream.end()
  stream.add("empty", b"")
  stream.finish()
  return path.read_bytes()


def test_python_reads_every_member(tmp_path):
  with zipfile.ZipFile(io.BytesIO(written(tmp_path / "a.zip"))) as archive:
    assert archive.testzip() is None
    assert archive.namelist() == ["first.txt", "a/päßt.bin", "empty"]
    assert archive.read("a/päßt.bin") == b"".join(PARTS)
    assert [info.file_size for info in archive.infolist()] == [3, sum(map(len, PARTS)), 0]


@pytest.mark.skipif(not shutil.which("unzip"), reason="needs unzip")
def test_unzip_tests_it(tmp_path):
  written(tmp_path / "a.zip")
  subprocess.run(["unzip", "-tq", tmp_path / "a.zip"], check=True, capture_output=True)


@pytest.mark.parametrize("stop", [0, 1, 2])
def test_a_stream_that_goes_on_from_a_mark_writes_the_same_bytes(tmp_path, stop):
  assert written(tmp_path / "a.zip", stop) == written(tmp_path / "b.zip")


def test_a_kill_after_the_end_can_be_gone_on_from(tmp_path):
  stream = ZipStream(tmp_path / "a.zip", {})
  stream.add("first.txt", b"one")
  mark = stream.mark()
  whole = []
  for _ in range(2):
    stream.add("second.txt", b"two")
    stream.finish()
    whole.append((tmp_path / "a.zip").read_bytes())
    stream = ZipStream(tmp_path / "a.zip", mark)
  stream.close()
  assert whole[0] == whole[1]
  assert zipfile.ZipFile(io.BytesIO(whole[0])).read("second.txt") == b"two"


def test_more_members_than_a_short_list_holds(tmp_path):
  stream = ZipStream(tmp_path / "many.zip", {})
  for number in range(2**16 + 1):
    stream.add(str(number), b"")
  stream.finish()
  with zipfile.ZipFile(tmp_path / "many.zip") as archive:
    assert len(archive.namelist()) == 2**16 + 1


def test_numpy_loads_an_array_of_it(tmp_path):
  content = io.BytesIO()
  np.save(content, np.arange(6).reshape(2, 3))
  stream = ZipStream(tmp_path / "a.npz", {})
  stream.add("x.npy", content.getvalue())
  stream.finish()
  np.testing.assert_array_equal(np.load(tmp_path / "a.npz")["x"], [[0, 1, 2], [3, 4, 5]])


def test_a_file_that_is_shorter_than_its_mark_is_refused(tmp_path):
  stream = ZipStream(tmp_path / "a.zip", {})
  stream.add("first.txt", b"one")
  mark = stream.mark()
  stream.close()
  with open(tmp_path / "a.zip", "r+b") as file:
    file.truncate(5)
  with pytest.raises(UserError, match="a.zip is cut off: remove"):
    ZipStream(tmp_path / "a.zip", mark)
