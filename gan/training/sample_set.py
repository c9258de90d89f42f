"""A set of samples on the disk, drawn and written part by part in constant memory.

Until it is whole it lies in a folder `NAME.part` beside its place, from which the same call goes
on; NAME.json then says what was drawn.
"""

import contextlib
import os
import pathlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jax
import numpy as np
from jaxtyping import Int

from gan.datasets.streamed import WRITERS
from gan.errors import UserError
from gan.system import environment, schema
from gan.system.progress import CountProgress
from gan.training import sampling
from gan.training.checkpoint import digest
from gan.training.restore import LoadedRun
from gan.training.run_folder import differences, lock, write_json

SUFFIXES = {"png": "", "npz": ".npz", "zip": ".zip"}  # of the keys of WRITERS
_FACTS = schema.entries(others=schema.ANY)
_PROGRESS = schema.entries(
  {"set": _FACTS, "done": schema.COUNT, "mark": schema.entries(others=schema.ANY)}
)
_PROGRESS_FILE = "progress.json"
_OTHERS = ("run", "packages", "extent")  # facts on which the examples do not depend
_REMEDY = "remove it and begin again"


def describe(
  run: LoadedRun,
  form: str,
  count: int,
  seed: int,
  classes: Sequence[int] = (),
  more: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
  """Returns what a set is made of, in JSON values.

  Args:
    run: that is drawn from.
    form: a key of WRITERS.
    count: of examples; example i depends on `seed`, i and its class only.
    seed: of the latents.
    classes: which are drawn in turn; () for all, in a conditional run.
    more: facts, of how the run was chosen.
  """
  classes = classes or (range(run.info.num_classes) if run.config.conditional else ())
  return {
    "packages": environment.versions(environment.COMPUTING),
    "dataset": run.config.dataset,
    "model": run.config.model,
    "step": int(run.state.step),
    "weights_sha256": digest((run.state.ema_params, run.state.ema_model_state)),
    "format": form,
    "count": count,
    "seed": seed,
    "shape": list(run.info.image_shape),
    "classes": list(classes),
    "class_names": [run.class_names[label] for label in classes] if run.class_names else [],
    **more,
  }


def write(
  run: LoadedRun, folder: pathlib.Path, facts: dict[str, Any], say: Callable[[str], None]
) -> pathlib.Path:
  """Draws a set, or the rest of one, and returns where it is: `samples` in a folder.

  Args:
    run: that is drawn from.
    folder: where the set goes.
    facts: of `describe`.
    say: prints one line to the user.

  Raises:
    UserError: another set, or something else, is there.
  """
  path = folder / f"samples{SUFFIXES[facts['format']]}"
  part = path.with_name(f"{path.name}.part")
  if os.path.lexists(path):
    _check_finished(path, facts)
    say(f"{path} is finished already.")
  else:
    with _claimed(part, facts):
      _draw(run, part, facts)
      write_json(_record(path), facts | {"extent": _extent(part / path.name)})
      os.replace(part / path.name, path)
  if (part / _PROGRESS_FILE).exists():
    shutil.rmtree(part)
  return path


def _record(path: pathlib.Path) -> pathlib.Path:
  return path.with_name(f"{path.name}.json")


def _check_finished(path: pathlib.Path, facts: dict[str, Any]) -> None:
  """Raises UserError unless the set that is described is at `path`."""
  there = schema.read(_record(path), _FACTS, _REMEDY)
  if there is None:
    raise UserError(f"{path} is there already and was not written here: choose another --outdir")
  _check_same(path, there, facts)
  if there.get("extent", _extent(path)) != _extent(path):
    raise UserError(f"{path} is not as it was written: {_REMEDY}")


def _extent(path: pathlib.Path) -> int:
  """The bytes of a file, or how many files a folder has."""
  return sum(1 for _ in path.iterdir()) if path.is_dir() else path.stat().st_size


def _check_same(path: pathlib.Path, there: dict[str, Any], facts: dict[str, Any]) -> None:
  if lines := differences(there, facts, _OTHERS):
    raise UserError(
      f"{path} holds another set ({'; '.join(lines)}): give the same flags, or another --outdir"
    )


@contextlib.contextmanager
def _claimed(part: pathlib.Path, facts: dict[str, Any]):
  """Locks the folder of a set that is being drawn, and writes what it is where it is new."""
  part.mkdir(exist_ok=True)
  progress = part / _PROGRESS_FILE
  with contextlib.closing(lock(part, "drawing")):
    if (there := schema.read(progress, _PROGRESS, f"remove {part}")) is not None:
      _check_same(part, there["set"], facts)
    elif [each.name for each in part.iterdir()] != [".lock"]:
      raise UserError(f"{part} holds no set that was begun: remove it, or give another --outdir")
    else:
      write_json(progress, {"set": facts, "done": 0, "mark": {}})
    yield


def _draw(run: LoadedRun, part: pathlib.Path, facts: dict[str, Any]) -> None:
  progress = part / _PROGRESS_FILE
  done, mark = (schema.read(progress, _PROGRESS, f"remove {part}")[key] for key in ("done", "mark"))
  name, count = part.name.removesuffix(".part"), facts["count"]
  shape, labels = (count, *facts["shape"]), _labels(count, facts["classes"])
  key = jax.random.key(facts["seed"])
  writer = WRITERS[facts["format"]](part / name, shape, mark)
  with contextlib.closing(writer), CountProgress("drawing", count, done, "image") as bar:
    for examples in sampling.batches(run.gan, run.state, key, count, labels, done):
      writer.add(examples)
      done += len(examples)
      write_json(progress, {"set": facts, "done": done, "mark": writer.mark()})
      bar.advance(len(examples))
    writer.finish(labels)


def _labels(count: int, classes: Sequence[int]) -> Int[np.ndarray, " n"] | None:
  return np.resize(np.array(classes, np.int32), count) if classes else None
