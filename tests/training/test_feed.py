"""Batches of data that stay on the host: read ahead, from memory or from a file of any size."""

import io
import os
import subprocess
import sys
import threading

import jax
import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from gan import datasets
from gan.datasets import decoded
from gan.method.game import Batch
from gan.system import memory
from gan.training import feed, loop, parallel
from gan.training.config import Config
from gan.training.run_folder import read_metrics

SHAPE = (8, 8, 3)
DEVICES = jax.devices()


def config(**changes):
  return Config(dataset="own", model="mlp", loss="nonsat", **changes)


def indices(step, count):
  return np.arange(step, step + count)


def test_calls_cover_the_steps_and_end_where_something_is_written():
  run = config(steps=10, log_every=4, steps_per_call=3)
  found = list(feed.batches(run, 1, indices))
  assert [count for count, _ in found] == [3, 3, 1, 2]
  assert np.concatenate([batch for _, batch in found]).tolist() == list(range(1, 10))


def test_the_next_rows_are_gathered_while_the_caller_works():
  gathered, threads = [], set()
  ready = threading.Semaphore(0)

  def gather(picked):
    threads.add(threading.current_thread())
    gathered.append(picked.tolist())
    ready.release()
    return -picked

  batches = feed.batches(config(steps=3, steps_per_call=1), 0, indices, gather)
  count, rows = next(batches)
  assert (count, rows.tolist()) == (1, [0])
  for _ in range(2):
    assert ready.acquire(timeout=10)  # the second, which nobody has asked for
  assert gathered == [[0], [1]]
  assert [rows.tolist() for _, rows in batches] == [[-1], [-2]]
  assert threading.current_thread() not in threads and not any(t.is_alive() for t in threads)


def test_an_error_of_the_thread_is_the_callers_and_the_end_waits_for_the_thread():
  def gather(picked):
    if picked[0] == 1:
      raise MemoryError
    return picked

  batches = feed.batches(config(steps=3, steps_per_call=1), 0, indices, gather)
  next(batches)
  with pytest.raises(MemoryError):
    next(batches)
  before = set(threading.enumerate())
  batches = feed.batches(config(steps=3), 0, indices, gather)
  next(batches)
  batches.close()
  assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("step_bytes, most", [(0, 100), (1, 100), (2**26, 4), (2**30, 1)])
def test_rows_of_a_call_take_a_bounded_room(step_bytes, most):
  run = Config(dataset="ring", model="points", steps=400, log_every=200, sample_every=200)
  found = feed.batches(run, 0, indices, step_bytes=step_bytes)
  assert next(found)[0] == most


@pytest.fixture
def photos():
  rng = np.random.default_rng(0)
  return rng.integers(256, size=(40, *SHAPE), dtype=np.uint8), rng.integers(3, size=40)


@pytest.mark.parametrize("strategy", sorted(parallel.STRATEGIES))
def test_rows_of_a_file_are_those_in_memory(tmp_path, photos, strategy):
  np.save(tmp_path / "images.npy", photos[0])
  mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
  picked = np.random.default_rng(1).integers(40, size=(3, 2, 8)).astype(np.int32)
  rows = parallel.gather_rows(Batch(mapped, photos[1]), picked, strategy, DEVICES)
  expected = Batch(photos[0][picked], photos[1][picked])
  if strategy == "pmap":
    split = [np.stack(np.split(array, len(DEVICES), 2)) for array in expected]
    expected = Batch(*split)
  for one, other in zip(rows, expected, strict=True):
    np.testing.assert_array_equal(np.asarray(one), other)


@pytest.mark.parametrize("strategy", ["none", "shard_map"])
def test_a_streamed_run_is_the_run_in_memory_to_the_bit(tmp_path, photos, strategy, monkeypatch):
  """With everything that is done to real images, which happens on the devices."""
  path = datasets.write_zip(tmp_path / "set.zip", *photos)
  changes = {"mirror": True, "crop": 2, "dequantize": True, "conditional": True, "batch_size": 8}
  changes |= {"steps": 6, "log_every": 1, "checkpoint_every": 3, "parallel": strategy}
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
  records = []
  for place in ("device", "host"):
    if place == "host":
      monkeypatch.setattr(datasets.zipped.decoded, "LARGE", 1)
    run = Config(dataset="images", model="dcgan", width=2, loss="nonsat", data_on=place, **changes)
    summary = loop.fit(run, tmp_path / place, str(path), say=lambda line: None)
    assert summary["status"] == "finished"
    records.append([record | {"seconds": 0} for record in read_metrics(tmp_path / place)])
  assert records[0] == records[1] and len(records[0]) == 6
  assert list((tmp_path / "cache").rglob("images.npy"))


def test_a_cpu_streams_what_takes_a_quarter_of_the_machine(monkeypatch):
  data = Batch(np.zeros(100, np.uint8), None)
  for limit, host in ((400 * len(DEVICES), False), (400 * len(DEVICES) - 4, True)):
    monkeypatch.setattr(parallel, "machine_bytes", lambda limit=limit: limit)
    assert parallel.stays_on_host("auto", data, DEVICES) == host
  assert memory.machine_bytes() > 2**28


# 20 GiB that take no room on the disk, of which a few rows are not zero.
SPARSE = """
import pathlib, sys
import jax, numpy as np
from gan.datasets.batches import batch_indices
from gan.method.game import Batch
from gan.training import feed, parallel
from gan.training.config import Config

path, shape = sys.argv[1], (64, 64, 3)
count = 20 * 2**30 // (64 * 64 * 3) + 1
images = np.lib.format.open_memmap(path, "w+", np.uint8, (count, *shape))
picked = batch_indices(0, count, 0, 6, 1, 64)
rows = np.random.default_rng(0).integers(256, size=(6 * 64, *shape), dtype=np.uint8)
images[picked.ravel()] = rows
images.flush()
data = Batch(np.load(path, mmap_mode="r"), None)
devices = jax.devices()
run = parallel.make_run(
  lambda state, batch, key: (state + 1, {"image": batch.image}), "none", devices, True
)
config = Config(dataset="images", steps=6, steps_per_call=1)
gather = lambda indices: parallel.gather_rows(data, indices, "none", devices)
indices = lambda step, steps: batch_indices(0, count, step, steps, 1, 64)
state, key, seen = 0, jax.random.key(0), []
for _, batch in feed.batches(config, 0, indices, gather):
  state, metrics = run(state, None, batch, key)
  seen.append(np.asarray(metrics["image"]))
assert np.array_equal(np.concatenate(seen).reshape(rows.shape), rows)
status = pathlib.Path("/proc/self/status").read_text().split()
print(status[status.index("RssAnon:") + 1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the system tells anonymous memory on Linux")
def test_twenty_gibibytes_stream_in_two_of_anonymous_memory(tmp_path):
  path = tmp_path / "images.npy"
  found = subprocess.run(
    [sys.executable, "-c", SPARSE, str(path)], cwd=ROOT, capture_output=True, text=True, check=True
  )
  assert path.stat().st_size > 20 * 2**30
  assert path.stat().st_blocks * 512 < 2**26
  assert int(found.stdout) * 1024 < 2 * 2**30


class Holes(io.FileIO):
  """A file that takes blocks of zeros as holes."""

  def __init__(self, path, mode, buffering):
    super().__init__(path, mode)

  def write(self, content):
    assert not np.any(content)
    self.seek(content.nbytes, os.SEEK_CUR)
    return content.nbytes


def opened(path, mode, **options):
  return (Holes if mode == "r+b" else open)(path, mode, **options)


RUN = """
import pathlib, sys, threading
from gan.training import loop
from gan.training.config import Config

def anonymous():
  status = pathlib.Path("/proc/self/status").read_text().split()
  return int(status[status.index("RssAnon:") + 1])

peak, ended = 0, threading.Event()
def watch():
  global peak
  while not ended.wait(0.005):
    peak = max(peak, anonymous())

watcher = threading.Thread(target=watch)
watcher.start()
config = Config(
  dataset="images", model="dcgan", width=2, loss="nonsat", batch_size=4, steps=2, data_on="host"
)
try:
  summary = loop.fit(config, pathlib.Path(sys.argv[1]), sys.argv[2], say=lambda line: None)
finally:
  ended.set()
  watcher.join()
print(summary["status"], peak)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the system tells anonymous memory on Linux")
def test_a_run_on_a_large_set_takes_little_anonymous_memory(tmp_path, monkeypatch):
  """From reading to the end, with the digest of the data: black images, which take no disk."""
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
  monkeypatch.setattr(decoded, "open", opened, raising=False)
  photos = tmp_path / "photos"
  photos.mkdir()
  Image.new("RGB", (256, 256)).save(photos / "0.png")
  for i in range(1, 22_000):
    os.link(photos / "0.png", photos / f"{i}.png")
  datasets.load("images", data_dir=str(photos))
  (array,) = (tmp_path / "cache").rglob("images.npy")
  assert array.stat().st_size > 2**32 and array.stat().st_blocks * 512 < 2**26
  found = subprocess.run(
    [sys.executable, "-c", RUN, str(tmp_path / "run"), str(photos)],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
  )
  assert "blocks are damaged" not in found.stderr
  status, peak = found.stdout.split()
  # Programs and what is written at the end take 1.8 GiB, of whatever set; a copy would be 4 more.
  assert status == "finished" and int(peak) * 1024 < 2.5 * 2**30
