"""What is wrong inside files that are otherwise whole: one line with the place and the cure."""

import bz2
import dataclasses
import gzip
import io
import json
import lzma
import os
import struct
import tracemalloc
import warnings
import zipfile

import jax
import numpy as np
import pytest
from fake_studies import ENVIRONMENT, write_run, write_sweep

from experiments.theory import page
from gan.datasets import idx, npz, tfds
from gan.errors import UserError
from gan.metrics import extractors
from gan.models import classifier
from gan.report import study
from gan.system import schema
from gan.system.archive import BLOCK, Archive
from gan.training import restore, run_folder
from gan.training.config import Config
from gan.training.parts import identity


def refusal(read):
  with pytest.raises(UserError) as caught:
    read()
  message = str(caught.value)
  assert len(message.splitlines()) == 1
  return message


def change(path, fields, value):
  """Gives a field of a JSON file another value; `...` removes it."""
  record = json.loads(path.read_text())
  place = record
  for name in fields[:-1]:
    place = place[name]
  if value is ...:
    del place[fields[-1]]
  else:
    place[fields[-1]] = value
  path.write_text(json.dumps(record) + "\n")


# JSON: (file, field, value, what the line says of it).

HUGE = 10**400
WHOLE = "where a whole number of at least 0 belongs"
WRONG = [
  ("config.json", ("determining", "seed"), "three", f'determining.seed is "three" {WHOLE}'),
  ("config.json", ("determining", "seed"), HUGE, "determining.seed is an integer of 401 digits"),
  ("config.json", ("determining", "loss"), 5, "determining.loss is 5 where text belongs"),
  ("config.json", ("determining", "loss"), ..., "determining.loss is missing"),
  ("config.json", ("determining", "generator_learning_rate"), [1], "learning_rate is [1] where"),
  ("config.json", ("config", "steps"), "many", f'config.steps is "many" {WHOLE}'),
  ("config.json", ("config", "dataset"), None, "config.dataset is null where text belongs"),
  ("config.json", ("config",), [], "config is [] where an object belongs"),
  ("config.json", ("num_examples",), "all", 'num_examples is "all"'),
  ("config.json", ("command",), 7, "command is 7 where text belongs"),
  ("summary.json", ("step",), "40", f'step is "40" {WHOLE}'),
  ("summary.json", ("step",), -1, f"step is -1 {WHOLE}"),
  ("summary.json", ("step",), 40.0, f"step is 40.0 {WHOLE}"),
  ("summary.json", ("step",), True, f"step is true {WHOLE}"),
  ("summary.json", ("status",), 5, "status is 5 where a status"),
  ("summary.json", ("status",), "diverged", 'status is "diverged" where a status'),
  ("summary.json", ("status",), "diverged at step ²", "status is"),
  ("environment.json", ("sessions",), {}, "sessions is {} where a list"),
  ("environment.json", ("sessions",), [5], "sessions[0] is 5 where an object belongs"),
  ("environment.json", ("sessions", 0, "packages"), [], "sessions[0].packages is [] where"),
  ("environment.json", ("sessions", 0, "devices"), [1], "sessions[0].devices[0] is 1 where text"),
  ("metrics.jsonl", ("step",), "nan", f'step is "nan" {WHOLE}'),
  ("metrics.jsonl", ("step",), ..., "step is missing"),
  ("metrics.jsonl", ("epoch",), "inf", 'epoch is "inf" where a finite number belongs'),
  ("metrics.jsonl", ("generator_loss",), "low", 'generator_loss is "low" where a number, or "nan"'),
  ("metrics.jsonl", ("generator_loss",), HUGE, "generator_loss is an integer of 401 digits"),
  ("metrics.jsonl", ("generator_loss",), False, "generator_loss is false where"),
  ("evaluations.jsonl", ("images",), ..., f"images is missing {WHOLE}"),
  ("evaluations.jsonl", ("seconds",), ..., "seconds is missing where a finite number belongs"),
  ("evaluations.jsonl", ("images",), "640", f'images is "640" {WHOLE}'),
  ("evaluations.jsonl", ("extractor",), 7, "extractor is 7 where text, or null"),
  ("evaluations.jsonl", ("coverage",), [0.5], "coverage is [0.5] where"),
  ("../../sweep.json", ("members",), {}, "members is {} where a list"),
  ("../../sweep.json", ("members",), [5], "members[0] is 5 where an object belongs"),
  (
    "../../sweep.json",
    ("members", 0, "name"),
    5,
    "members[0].name is 5 where the name of a folder",
  ),
  ("../../sweep.json", ("members", 0, "name"), "../x", 'members[0].name is "../x" where'),
  ("../../sweep.json", ("members", 0, "name"), "x" * 300, "members[0].name is"),
  ("../../sweep.json", ("command",), 3, "command is 3 where text belongs"),
]


@pytest.fixture
def run(tmp_path):
  write_sweep(tmp_path, ("nonsat",), 1, steps=10, every=10, pictures=False)
  folder = tmp_path / "members" / "nonsat-seed=0"
  line = (folder / "metrics.jsonl").read_text().split("\n")[0]
  (folder / "metrics.jsonl").write_text(line + "\n")
  return folder


@pytest.mark.parametrize("file, fields, value, words", WRONG)
def test_a_wrong_type_is_said_with_its_file_and_field(tmp_path, run, file, fields, value, words):
  change(run / file, fields, value)
  message = refusal(lambda: study.load([tmp_path]))
  assert file.split("/")[-1] + " is damaged" in message and words in message
  assert ("in line 1" in message) == file.endswith("jsonl")


CONTENTS = {
  "a list": (b"[]\n", "it is [] where an object belongs"),
  "null": (b"null\n", "it is null where an object belongs"),
  "no JSON": (b"{'step': 1}\n", "it is no JSON"),
  "no UTF-8": (b'{"step": "\xff"}\n', "it is no UTF-8"),
  "UTF-16": ('{"step": 1}\n'.encode("utf-16"), "it is no UTF-8"),
  "deep": (b'{"step": ' + b"[" * 10**5 + b"\n", "nested more than 32 levels deep"),
  "deep and closed": (b'{"x": ' + b"[" * 40 + b"]" * 40 + b"}\n", "nested more than 32 levels"),
  "digits": (b'{"step": ' + b"9" * 5000 + b"}\n", "an integer of thousands of digits"),
  "half a character": (b'{"status": "\\ud800", "step": 1}\n', "it is no UTF-8"),
}


@pytest.mark.parametrize("kind", CONTENTS)
@pytest.mark.parametrize("file", ["config.json", "summary.json", "environment.json"])
def test_a_file_of_other_content_is_one_line(run, file, kind):
  content, words = CONTENTS[kind]
  (run / file).write_bytes(content)
  message = refusal(lambda: study.load([run]))
  assert f"{run / file} is damaged" in message and words in message


@pytest.mark.parametrize("kind", CONTENTS)
def test_a_line_of_other_content_is_said_with_its_number(run, kind):
  content, words = CONTENTS[kind]
  path = run / "metrics.jsonl"
  path.write_bytes(path.read_bytes() + content)
  message = refusal(lambda: study.load([run]))
  assert f"{path} is damaged in line 2" in message and words in message


def make_pipe(path):
  path.unlink()
  os.mkfifo(path)


def make_folder(path):
  path.unlink()
  path.mkdir()


@pytest.mark.parametrize("replace", [make_pipe, make_folder])
@pytest.mark.parametrize(
  "file", ["config.json", "summary.json", "environment.json", "metrics.jsonl", "evaluations.jsonl"]
)
def test_what_is_no_file_is_refused_and_never_waited_for(run, file, replace):
  replace(run / file)
  assert f"{run / file} is not an ordinary file" in refusal(lambda: study.load([run]))


def test_records_with_nan_and_infinity_are_read_as_before(run):
  path = run / "metrics.jsonl"
  lines = ['{"step": 2, "d": NaN}', '{"step": 4, "d": "nan"}', '{"step": 6, "d": "-inf", "e": 3}']
  path.write_text("\n".join(lines) + "\n")
  assert [record["step"] for record in run_folder.read_metrics(run)] == [2, 4, 6]


def test_a_line_cut_inside_a_character_is_left_out(run):
  path = run / "metrics.jsonl"
  path.write_bytes(path.read_bytes() + b'{"step": 4, "dataset": "\xc3')
  assert len(run_folder.read_metrics(run)) == 1


@pytest.mark.parametrize("name", ["samples", "checkpoints"])
def test_a_file_where_a_folder_belongs_is_refused_before_training(tmp_path, name):
  (tmp_path / name).write_text("mine")
  folder = run_folder.RunFolder(tmp_path)
  identity = {"config": {}, "determining": {}}
  assert f"{tmp_path / name} cannot be written to" in refusal(lambda: folder.claim(identity))
  folder.close()
  assert (tmp_path / name).read_text() == "mine"


def test_a_folder_where_the_summary_belongs_is_refused_before_training(tmp_path):
  (tmp_path / "summary.json").mkdir()
  folder = run_folder.RunFolder(tmp_path)
  identity = {"config": {}, "determining": {}}
  assert "summary.json is a folder" in refusal(lambda: folder.claim(identity))
  folder.close()


def test_a_study_whose_samples_are_a_file_has_no_pictures(tmp_path):
  write_run(tmp_path / "run", pictures=False)
  (tmp_path / "run" / "samples").rmdir()
  (tmp_path / "run" / "samples").write_text("mine")
  assert len(study.load([tmp_path]).runs) == 1


# A run's config, as a generator is made of it.

DESCRIBED = [
  (("config", "latent_dim"), "64", 'config.latent_dim is "64" where a whole number belongs'),
  (("config", "latent_dim"), 64.0, "config.latent_dim is 64.0"),
  (("config", "latent_dim"), None, "config.latent_dim is null"),
  (("config", "latent_dim"), 0, "latent_dim=0 must be above 0"),
  (("config", "width"), HUGE, "config.width is an integer of 401 digits"),
  (("config", "b1"), "nan", 'config.b1 is "nan" where a finite number belongs'),
  (("config", "b1"), 2, "b1=2 must be below 1"),
  (("config", "conditional"), 1, "config.conditional is 1 where true or false belongs"),
  (("config", "loss"), "nosuch", "loss=nosuch is unknown: choose from"),
  (("image_shape",), 8, "image_shape is 8 where [height, width, channels], or [2]"),
  (("image_shape",), [8, 8], "image_shape is [8, 8]"),
  (("image_shape",), [0, 8, 1], "image_shape is [0, 8, 1]"),
  (("image_shape",), [2**40], "image_shape is [1099511627776]"),
  (("image_shape",), [3], "image_shape is [3] where [height, width, channels], or [2] of points"),
  (("image_shape",), [8, 7, 1], "square images"),
  (("num_classes",), -1, "num_classes is -1"),
  (("num_examples",), ..., "num_examples is missing"),
]


@pytest.mark.parametrize("fields, value, words", DESCRIBED)
def test_a_config_of_wrong_types_makes_no_generator(tmp_path, fields, value, words):
  config = Config(dataset="own", model="dcgan")
  record = {"config": dataclasses.asdict(config), "determining": identity(config)}
  record |= {"image_shape": [28, 28, 1], "num_classes": 0, "num_examples": 5}
  (tmp_path / "config.json").write_text(json.dumps(record))
  change(tmp_path / "config.json", fields, value)
  message = refusal(lambda: restore.load(tmp_path))
  assert "config.json is damaged" in message and words in message and "--model" not in message


# Archives of arrays.

ARRAY = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def header(shape, dtype="|u1", order=False, version=1):
  described = f"{{'descr': '{dtype}', 'fortran_order': {order}, 'shape': {shape}, }}".encode()
  described += b" " * (-(len(described) + 11) % 64) + b"\n"
  return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H", len(described)) + described


def packed(content, method=zipfile.ZIP_STORED, name="images.npy"):
  file = io.BytesIO()
  with zipfile.ZipFile(file, "w", method) as archive:
    archive.writestr(name, content)
  return file.getvalue()


def saved(array, method=zipfile.ZIP_STORED):
  file = io.BytesIO()
  np.save(file, array)
  return packed(file.getvalue(), method)


def twice(second):
  """An archive of two members for one array."""
  file = io.BytesIO(saved(ARRAY))
  with zipfile.ZipFile(file, "a") as archive, warnings.catch_warnings():
    warnings.simplefilter("ignore")
    archive.writestr(second, lone(ARRAY))
  return file.getvalue()


def lone(array):
  file = io.BytesIO()
  np.save(file, array)
  return file.getvalue()


def patched(content, **places):
  """An archive of one member with other numbers in both of its headers."""
  content = bytearray(content)
  central = content.index(b"PK\x01\x02")
  for name, value in places.items():
    local = {"flags": 6, "method": 8}[name]
    struct.pack_into("<H", content, local, value)
    struct.pack_into("<H", content, central + local + 2, value)
  return bytes(content)


def spoiled(method):
  """An archive whose packed data are noise, with the checksum as it was."""
  content = bytearray(saved(np.zeros((40, 40), np.uint8), method))
  start = 30 + len("images.npy") + 12
  content[start : start + 8] = b"\xff" * 8
  return bytes(content)


ARCHIVES = {
  "a .npy in disguise": (lone(ARRAY), "it is a .npy, one array"),
  "empty": (b"", "File is not a zip file"),
  "one name twice": (twice("images.npy"), "it holds images twice"),
  "one array twice": (twice("images"), "it holds images twice"),
  "encrypted": (patched(saved(ARRAY), flags=1), "it is encrypted"),
  "unknown method": (patched(saved(ARRAY), method=97), "compression method is not supported"),
  "LZMA damaged": (spoiled(zipfile.ZIP_LZMA), "images: "),
  "bzip2 damaged": (spoiled(zipfile.ZIP_BZIP2), "images: "),
  "deflate damaged": (spoiled(zipfile.ZIP_DEFLATED), "images: "),
  "no array": (packed(b"hello there"), "magic string is not correct"),
  "text member": (packed(b"", name="images"), "EOF"),
  "objects": (saved(np.array([None, {}])), "it holds Python objects"),
  "header cut": (packed(header((2, 2))[:20]), "EOF"),
  "header of code": (packed(header("__import__('os').getpid()") + b"1234"), "images: malformed"),
  "negative": (packed(header((-2, -2)) + b"1234"), "its header has the shape (-2, -2)"),
  "true": (packed(header((True, 4)) + b"1234"), "its header has the shape (True, 4)"),
  "fractions": (packed(header((2.0, 2)) + b"1234"), "shape is not valid"),
  "text": (packed(header("'abc'") + b"1234"), "shape is not valid"),
  "no such type": (packed(header((2,), "|zz") + b"12"), "descr is not a valid dtype"),
  "later format": (packed(header((2, 2), version=9) + b"1234"), "(9, 0)"),
  "too short": (packed(header((5,)) + b"1234"), "asks for 5 bytes and 4 are there"),
  "too long": (packed(header((3,)) + b"1234"), "asks for 3 bytes and 4 are there"),
  "a petabyte": (packed(header((10**15,)) + b"1234"), "asks for 1000000000000000 bytes and 4"),
  "beyond any size": (packed(header((10**30, 10**30)) + b"1"), "bytes and 1 are there"),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_a_broken_archive_is_one_line(tmp_path, kind):
  content, words = ARCHIVES[kind]
  path = tmp_path / "set.npz"
  path.write_bytes(content)
  message = refusal(lambda: npz.load(path, "train"))
  assert message.startswith(f"cannot read {path} as .npz: ") and words in message


WHOLE_ARCHIVES = {
  "stored": saved(ARRAY),
  "deflate": saved(ARRAY, zipfile.ZIP_DEFLATED),
  "bzip2": saved(ARRAY, zipfile.ZIP_BZIP2),
  "LZMA": saved(ARRAY, zipfile.ZIP_LZMA),
  "columns first": saved(np.asfortranarray(ARRAY)),
}


@pytest.mark.parametrize("kind", WHOLE_ARCHIVES)
def test_a_whole_archive_gives_the_array_whatever_its_packing_and_order(kind):
  with Archive(io.BytesIO(WHOLE_ARCHIVES[kind]), "it") as archive:
    np.testing.assert_array_equal(archive["images"], ARRAY)
  for array in (np.array([1, 2], ">i4"), np.array("text"), np.float16(3), np.zeros((0, 4))):
    with Archive(io.BytesIO(saved(array)), "it") as archive:
      found = archive["images"]
    assert found.dtype == np.asarray(array).dtype and np.array_equal(found, array)


def peak_of(read):
  tracemalloc.start()
  try:
    refusal(read)
    return tracemalloc.get_traced_memory()[1]
  finally:
    tracemalloc.stop()


def test_memory_is_not_allocated_for_what_a_header_claims(tmp_path):
  few = 8 * BLOCK
  path = tmp_path / "set.npz"
  path.write_bytes(packed(header((2**33,)) + b"1234"))
  assert peak_of(lambda: npz.load(path, "train")) < few
  # More than `few` bytes of zeros, behind a header that asks for 4, are unpacked block by block.
  path.write_bytes(packed(header((4,)) + bytes(2 * few), zipfile.ZIP_DEFLATED))
  assert peak_of(lambda: npz.load(path, "train")) < few
  (tmp_path / "idx").write_bytes(struct.pack(">I3I", 0x803, 2**31, 2**31, 2**31) + b"1234")
  assert peak_of(lambda: idx.read(tmp_path / "idx", ndim=3)) < few
  (tmp_path / "idx").write_bytes(
    gzip.compress(struct.pack(">I3I", 0x803, 1, 2, 2) + bytes(2 * few))
  )
  assert peak_of(lambda: idx.read(tmp_path / "idx", ndim=3)) < few


def zipped(content: bytes) -> bytes:
  """Equal in every process, as names of tests must be."""
  return gzip.compress(content, mtime=0)


@pytest.mark.parametrize(
  "content, words",
  [
    (struct.pack(">I3I", 0x803, 2**32 - 1, 2**32 - 1, 2**32 - 1), "holds 0 bytes of data where"),
    (
      zipped(struct.pack(">I3I", 0x803, 9, 9, 9) + b"12"),
      "holds 2 bytes of data where",
    ),
    (
      zipped(struct.pack(">I3I", 0x803, 1, 1, 1) + b"12"),
      "holds 2 bytes of data where",
    ),
    (zipped(b"\0\0\x08\x03")[:-4] + b"1234", "cannot read"),
    (bz2.compress(b"\0\0\x08\x03"), "starts with 0x425a6839"),
    (lzma.compress(b"\0\0\x08\x03"), "starts with 0xfd377a58"),
  ],
)
def test_an_idx_file_that_is_not_what_its_header_says_is_one_line(tmp_path, content, words):
  path = tmp_path / "train-images-idx3-ubyte.gz"
  path.write_bytes(content)
  message = refusal(lambda: idx.read(path, ndim=3))
  assert str(path) in message and words in message


ABOUT = {"dataset": "own", "image_shape": [8, 8, 1], "num_classes": 3}
DESCRIPTIONS = [
  (ABOUT | {"dataset": 5}, "dataset is 5 where text belongs"),
  (ABOUT | {"image_shape": ["8", 8, 1]}, 'image_shape[0] is "8"'),
  (ABOUT | {"image_shape": [HUGE, 8, 1]}, "image_shape[0] is an integer of 401 digits"),
  (ABOUT | {"image_shape": [2**16] * 3}, "do not fit"),
  (ABOUT | {"num_classes": True}, "num_classes is true"),
  (ABOUT | {"num_classes": 2**30}, "do not fit"),
  ([ABOUT], "where an object belongs"),
]


@pytest.mark.parametrize("about, words", DESCRIPTIONS)
def test_an_extractor_that_describes_itself_wrongly_is_one_line(unchecked, about, words):
  params, _ = classifier.build((8, 8, 1), 3).init(jax.random.key(0))
  content = extractors.to_bytes(params, about)
  message = refusal(lambda: extractors.from_bytes(content, "own.npz"))
  assert message.startswith("own.npz is no extractor or is damaged (") and words in message


# Other JSON.


@pytest.mark.parametrize(
  "info, words",
  [
    ([], "it is [] where an object belongs"),
    ({"name": 5}, "name is 5 where text belongs"),
    ({"name": "own", "alternativeFileFormats": "riegeli"}, "alternativeFileFormats is"),
  ],
)
def test_a_prepared_set_described_wrongly_is_one_line(tmp_path, info, words):
  folder = tmp_path / "own" / "1.0.0"
  folder.mkdir(parents=True)
  (folder / "dataset_info.json").write_text(json.dumps(info))
  message = refusal(lambda: tfds.find(tmp_path, "own"))
  assert "dataset_info.json is damaged" in message and words in message


OUTCOME = {
  "case": "bilinear",
  "title": "A game",
  "about": "What is seen.",
  "quick": True,
  "seeds": None,
  "seconds": 1.0,
  "processor_seconds": 2.0,
  "cores": 2,
  "environment": ENVIRONMENT | {"time": "2026-01-31 12:00:00 +0000"},
  "error": None,
  "checks": [{"quantity": "a", "ours": "1", "expected": "1", "source": "exact", "passed": True}],
  "notes": ["Seen."],
  "figures": ["a.png"],
}


@pytest.mark.parametrize(
  "fields, value, words",
  [
    (("checks",), {}, "checks is {} where a list"),
    (("checks", 0, "passed"), "yes", 'checks[0].passed is "yes" where true or false, or null'),
    (("seconds",), "long", 'seconds is "long"'),
    (("environment", "time"), "", 'environment.time is "" where a time'),
    (("environment", "packages", "jax"), ..., "environment.packages.jax is missing"),
    (("figures",), ["../../secret.png"], 'figures[0] is "../../secret.png" where the name of'),
    (("figures",), ["b.png"], "b.png is missing"),
  ],
)
def test_a_damaged_outcome_is_left_out_of_the_page_with_a_line(
  tmp_path, capsys, fields, value, words
):
  folder = tmp_path / "bilinear"
  folder.mkdir()
  (folder / "a.png").write_bytes(b"")
  (folder / "result.json").write_text(json.dumps(OUTCOME))
  (outcome,) = page.read_outcomes(tmp_path, ["bilinear", "dirac"])
  assert outcome == OUTCOME
  change(folder / "result.json", fields, value)
  assert page.read_outcomes(tmp_path, ["bilinear", "dirac"]) == []
  said = capsys.readouterr()
  (line,) = (said.out + said.err).splitlines()
  assert line.startswith("Left out: ") and words in line and "--case=bilinear" in line


def test_every_message_is_one_line_whatever_a_name_holds():
  message = str(UserError("a\nb\r\x1b[31m\ud800é 汉"))
  assert message == "a\\nb\\r\\x1b[31m\\ud800é 汉"


@pytest.mark.parametrize("kind", [schema.COUNT, schema.NUMBER, schema.METRIC, schema.SCALAR])
def test_a_number_has_the_size_of_a_number(kind):
  assert not schema.fault(5, kind) and schema.fault(HUGE, kind) and schema.fault([5], kind)
