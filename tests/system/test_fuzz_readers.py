"""Every reader on files that were cut, flipped, overwritten or given other types, by fixed seeds.

Each case ends in success with the right values, or in one UserError of one line.
"""

import gzip
import io
import json
import pathlib
import shutil
import struct
import zipfile

import jax
import numpy as np
import pytest
from fake_studies import write_sweep
from PIL import Image

from experiments import compare, evaluate, ring, sample
from gan import datasets
from gan.datasets import idx
from gan.errors import UserError
from gan.metrics import extractors
from gan.models import classifier
from gan.report import analysis, study, table, words
from gan.system.archive import Archive
from gan.training import restore
from gan.training.checkpoint import Checkpoints

IMAGES = np.random.default_rng(0).integers(256, size=(4, 8, 8, 3), dtype=np.uint8)
VALUES = (None, True, -1, 2.5, 10**400, "nan", "\ud800", [], {}, [[]], {"a": 1}, float("inf"))


def cut(content, rng):
  return content[: rng.integers(len(content))]


def flip(content, rng):
  content = bytearray(content)
  for place in rng.integers(len(content), size=rng.integers(1, 4)):
    content[place] ^= 1 << rng.integers(8)
  return bytes(content)


def overwrite(content, rng):
  place, noise = rng.integers(len(content)), rng.bytes(rng.integers(1, 20))
  return content[:place] + noise + content[place + len(noise) :]


def drop(content, rng):
  place = rng.integers(len(content))
  return content[:place] + content[place + rng.integers(1, 20) :]


def retype(value, rng):
  """JSON with another value somewhere, or without one."""
  inside = isinstance(value, (dict, list)) and len(value) > 0 and rng.random() < 0.8
  if not inside:
    return VALUES[rng.integers(len(VALUES))]
  changed = value.copy()
  key = (
    list(value)[rng.integers(len(value))] if isinstance(value, dict) else rng.integers(len(value))
  )
  if rng.random() < 0.2:
    del changed[key]
  else:
    changed[key] = retype(value[key], rng)
  return changed


DAMAGE = (cut, flip, overwrite, drop)


def damaged(content, seed):
  return DAMAGE[seed % len(DAMAGE)](content, np.random.default_rng(seed)) if content else b"\0"


def damaged_json(content, seed):
  """As often with other types as with other bytes."""
  if seed % 2:
    return damaged(content, seed // 2)
  rng = np.random.default_rng(seed)
  lines = content.decode().splitlines() if content.count(b"\n{") else [content.decode()]
  place = rng.integers(len(lines))
  lines[place] = json.dumps(retype(json.loads(lines[place]), rng))
  return ("\n".join(lines) + "\n").encode()


def attempt(read):
  """What a reader returns, or None where it refuses in one line."""
  try:
    return read()
  except UserError as error:
    assert str(error).strip() and len(str(error).splitlines()) == 1
    return None


# Arrays.


def npz_bytes(save):
  file = io.BytesIO()
  save(file, images=IMAGES, labels=np.arange(4))
  return file.getvalue()


NPZ = {"plain": npz_bytes(np.savez), "packed": npz_bytes(np.savez_compressed)}


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("kind", NPZ)
def test_an_npz_is_read_right_or_refused(tmp_path, kind, seed):
  path = tmp_path / "set.npz"
  path.write_bytes(damaged(NPZ[kind], seed))

  def read():
    with Archive(path, str(path)) as archive:
      return {name: archive[name] for name in ("images", "labels") if name in archive}

  found = attempt(read)
  assert found is None or all(
    np.array_equal(array, {"images": IMAGES, "labels": np.arange(4)}[name])
    for name, array in found.items()
  )


def zip_bytes(method):
  file = io.BytesIO()
  with zipfile.ZipFile(file, "w", method) as archive:
    for i, image in enumerate(IMAGES):
      picture = io.BytesIO()
      Image.fromarray(image).save(picture, format="png")
      archive.writestr(zipfile.ZipInfo(f"{i}.png"), picture.getvalue(), method)
    archive.writestr("dataset.json", json.dumps(ZIP_LABELS), method)
  return file.getvalue()


ZIP_LABELS = {"labels": [[f"{i}.png", i] for i in range(len(IMAGES))]}
ZIP = {"stored": zip_bytes(zipfile.ZIP_STORED), "deflated": zip_bytes(zipfile.ZIP_DEFLATED)}


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("kind", ZIP)
def test_a_zip_of_images_is_read_right_or_refused(tmp_path, kind, seed):
  path = tmp_path / "set.zip"
  path.write_bytes(damaged(ZIP[kind], seed))
  found = attempt(lambda: datasets.load("own", data_dir=str(path)))
  # Names have no checksum: of an image with another name it may be left out, or be in its place.
  assert found is None or all(
    any(np.array_equal(image, whole) for whole in IMAGES) for image in found.images
  )
  if found is not None and found.labels is not None:
    np.testing.assert_array_equal(found.images, IMAGES[found.labels])


@pytest.mark.parametrize("seed", range(40))
def test_labels_of_a_zip_are_read_right_or_refused(tmp_path, seed):
  path = tmp_path / "set.zip"
  changed = damaged_json(json.dumps(ZIP_LABELS).encode(), seed)
  with zipfile.ZipFile(io.BytesIO(ZIP["stored"])) as whole, zipfile.ZipFile(path, "w") as archive:
    for name in whole.namelist():
      archive.writestr(name, changed if name == "dataset.json" else whole.read(name))
  found = attempt(lambda: datasets.load("own", data_dir=str(path)))
  if found is not None:
    labels = json.loads(changed)["labels"]
    assert (
      found.labels is None
      if labels is None
      else found.labels.tolist() == [dict(labels)[f"{i}.png"] for i in range(len(IMAGES))]
    )


IDX = struct.pack(">I3I", 0x803, 4, 8, 8) + IMAGES[..., 0].tobytes()


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("packed", [False, True])
def test_an_idx_file_is_read_right_or_refused(tmp_path, packed, seed):
  path = tmp_path / "images"
  content = damaged(gzip.compress(IDX, mtime=0) if packed else IDX, seed)
  path.write_bytes(content)
  found = attempt(lambda: idx.read(path, ndim=3))
  # The packing has a checksum; plain bytes have none, and are what they are.
  expected = IDX if packed else content
  assert found is None or found.tobytes() == expected[16:]


PACKERS = {"PNG": "png", "JPEG": "jpg", "BMP": "bmp", "GIF": "gif", "TIFF": "tif"}
PACKERS |= {"WEBP": "webp", "PPM": "ppm"}


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("kind", PACKERS)
def test_an_image_is_read_as_an_image_or_refused(tmp_path, kind, seed):
  file = io.BytesIO()
  Image.fromarray(IMAGES[0]).save(file, format=kind)
  (tmp_path / f"a.{PACKERS[kind]}").write_bytes(damaged(file.getvalue(), seed))
  found = attempt(lambda: datasets.load("own", "train", str(tmp_path)))
  if found is not None:
    assert found.images.dtype == np.uint8 and found.images.ndim == 4 and len(found.images) == 1


@pytest.fixture(scope="module")
def extractor_bytes():
  about = {"dataset": "own", "image_shape": (8, 8, 1), "num_classes": 3}
  params, _ = classifier.build((8, 8, 1), 3).init(jax.random.key(0))
  return extractors.to_bytes(params, about)


@pytest.mark.parametrize("seed", range(16))
def test_an_extractor_is_read_right_or_refused(extractor_bytes, seed):
  content = damaged(extractor_bytes, seed)
  found = attempt(lambda: extractors.from_bytes(content, "own.npz"))
  whole = extractors.from_bytes(extractor_bytes, "own.npz")
  assert found is None or all(
    np.array_equal(*leaves)
    for leaves in zip(jax.tree.leaves(found.params), jax.tree.leaves(whole.params), strict=True)
  )


# Records.


@pytest.fixture(scope="module")
def whole_sweep(tmp_path_factory):
  folder = tmp_path_factory.mktemp("sweep")
  write_sweep(folder, ("nonsat", "sat"), 1, pictures=False)
  return folder


RUN = "members/nonsat-seed=0"
RECORDS = [f"{RUN}/{name}.json" for name in ("config", "summary", "environment")]
RECORDS += [f"{RUN}/{name}.jsonl" for name in ("metrics", "evaluations")] + ["sweep.json"]


@pytest.mark.parametrize("seed", range(24))
@pytest.mark.parametrize("file", RECORDS)
def test_a_study_is_compared_or_refused(whole_sweep, tmp_path, file, seed):
  folder = tmp_path / "sweep"
  shutil.copytree(whole_sweep, folder)
  content = damaged_json((folder / file).read_bytes(), seed)
  (folder / file).write_bytes(content)
  found = attempt(lambda: told(folder))
  if found is not None and file.startswith(RUN):
    (run,) = [run for run in found.runs if run.folder == folder / RUN]
    assert_as_written(run, pathlib.Path(file).name, content)


def told(folder):
  """The study in a folder, once all that is said of it can be said."""
  found = study.load([folder])
  analysed = analysis.analyse(found)
  assert words.findings(analysed) and words.facts(analysed) and words.notes(analysed) is not None
  assert table.to_text(analysed) if analysed.metric else True
  return found


def assert_as_written(run, file, content):
  """What was accepted is what the file says."""
  if file.endswith(".jsonl"):
    lines = [json.loads(line) for line in content.decode().split("\n")[:-1]]
    found = {"metrics.jsonl": run.metrics, "evaluations.jsonl": run.evaluations}[file]
    assert json.dumps(found) == json.dumps(lines)  # NaN is not equal to itself
  if file == "config.json":
    assert run.record == json.loads(content)
  if file == "environment.json":
    assert run.sessions == json.loads(content)["sessions"]


# A trained run, by its commands.


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  folder = tmp_path_factory.mktemp("trained") / "run"
  flags = ("--steps=2", "--checkpoint_every=1", "--width=4", "--batch_size=8", "--eval_every=0")
  assert ring.main(["ring", f"--workdir={folder}", *flags, "--parallel=none"]) == 0
  return folder


@pytest.mark.parametrize("seed", range(24))
def test_a_config_gives_a_generator_or_is_refused(run, tmp_path, seed):
  folder = tmp_path / "run"
  folder.mkdir()
  (folder / "config.json").write_bytes(damaged_json((run / "config.json").read_bytes(), seed))
  shutil.copytree(run / "checkpoints", folder / "checkpoints")
  found = attempt(lambda: restore.load(folder, say=lambda line: None))
  assert found is None or int(found.state.step) == 2


COMMANDS = {"sample": sample.main, "evaluate": evaluate.main, "compare": compare.main}


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe", b"[" * 10**5, b'{"config": 7}'])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_ends_with_one_line_and_its_code(run, tmp_path, capsys, command, content):
  folder = tmp_path / "run"
  shutil.copytree(run, folder)
  (folder / "config.json").write_bytes(content)
  capsys.readouterr()
  assert COMMANDS[command]([command, f"--workdir={folder}"]) == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert line.startswith(f"error: {folder / 'config.json'}")


@pytest.mark.parametrize("damage", ["cut", "zeros", "empty"])
def test_a_run_without_a_whole_checkpoint_ends_a_command_with_one_error(
  run, tmp_path, capsys, damage
):
  folder = tmp_path / "run"
  shutil.copytree(run, folder)
  for path in (path for path in (folder / "checkpoints").rglob("d/*") if path.is_file()):
    content = path.read_bytes()
    path.write_bytes({"cut": content[:-1], "zeros": bytes(len(content)), "empty": b""}[damage])
  assert sample.main(["sample", f"--workdir={folder}"]) == 2
  errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
  assert len(errors) == 1 and "no checkpoint that can be read" in errors[0]


def test_sets_that_are_damaged_end_a_command_with_one_line(tmp_path, capsys):
  whole, broken = tmp_path / "whole.npz", tmp_path / "broken.npz"
  whole.write_bytes(NPZ["plain"])
  broken.write_bytes(NPZ["plain"][:-100])
  flags = [f"--real={whole}", f"--fake={broken}", f"--outdir={tmp_path / 'out'}"]
  assert evaluate.main(["evaluate", *flags]) == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert line.startswith(f"error: cannot read {broken} as .npz")


# Checkpoints.

STATE = {"a": np.arange(20, dtype=np.float32), "b": {"c": np.ones((3, 4), np.float32)}}
LIKE = jax.tree.map(lambda array: jax.ShapeDtypeStruct(array.shape, array.dtype), STATE)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
  folder = tmp_path_factory.mktemp("saved") / "run"
  checkpoints = Checkpoints(folder / "checkpoints")
  for step in (1, 2):
    checkpoints.save(step, STATE)
  checkpoints.close()
  return folder


@pytest.mark.parametrize("seed", range(72))
def test_a_checkpoint_is_read_right_or_called_damaged(saved, tmp_path, seed):
  folder = tmp_path / "run"
  shutil.copytree(saved, folder)
  # Which files there are differs in nothing but names made at random.
  files = sorted(path for path in (folder / "checkpoints" / "2").rglob("*") if path.is_file())
  file = files[seed % len(files)]
  is_json = file.name.endswith("_METADATA")
  file.write_bytes((damaged_json if is_json else damaged)(file.read_bytes(), seed))
  checkpoints = Checkpoints(folder / "checkpoints", read_only=bool(seed % 2))
  found = list(checkpoints.restore(LIKE))
  checkpoints.close()
  assert all(reason and "\n" not in reason for _, state, reason in found if state is None)
  step, state, reason = found[-1]
  assert (step, reason) in [(2, ""), (1, "")]
  assert jax.tree.all(jax.tree.map(np.array_equal, state, STATE))


def test_after_damaged_metadata_the_next_state_is_saved(saved, tmp_path):
  folder = tmp_path / "run"
  shutil.copytree(saved, folder)
  (folder / "checkpoints" / "1" / "_CHECKPOINT_METADATA").write_text('{"custom_metadata": 7}')
  checkpoints = Checkpoints(folder / "checkpoints")
  found = [(step, reason) for step, _, reason in checkpoints.restore(LIKE)]
  assert found == [(1, "its metadata cannot be read"), (2, "")]
  checkpoints.save(3, STATE)
  checkpoints.close()
  assert checkpoints.steps() == [2, 3]
