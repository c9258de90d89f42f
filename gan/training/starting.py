"""Where a run starts: from the weights of another run, of an export, or of a file."""

import os
import pathlib
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from gan.errors import UserError
from gan.state import GanState, Start
from gan.system.files import expanded
from gan.training import exported, hub, restore
from gan.training.checkpoint import digest
from gan.training.run_folder import CONFIG, read_config

PARTS = ("generator", "discriminator", "both", "ema")
DIGEST, PART = "init_sha256", "init_part"  # in config.json
PASSED = "passed"  # the model of a game that has no name
SHOWN = 5  # arrays that a line names
Given = str | restore.LoadedRun


class Beginning(NamedTuple):
  """What a run began with.

  Attributes:
    identity: digest and part, which its result depends on.
    weights: `() -> Start`, read once the run needs them: it has no checkpoint yet.
  """

  identity: dict[str, str]
  weights: Callable[[], Start]


class Source(NamedTuple):
  """Weights to start from.

  Attributes:
    name: what to call it in a line.
    part: one of PARTS.
    weights: those of the part, where a player that is left out has none.
    model: the architecture's name, or PASSED.
  """

  name: str
  part: str
  weights: Start
  model: str

  @property
  def identity(self) -> dict[str, str]:
    """What identifies the weights: SHA-256 of their numbers, by the order of their names."""
    return {DIGEST: digest(self.weights), PART: self.part}


def begin(
  given: Given | None,
  model: str,
  init: Callable[..., GanState],
  folder: pathlib.Path | None,
  say: Callable[[str], None],
) -> Beginning | None:
  """Returns what a run begins with where it does not draw its weights; None where it does.

  A folder in which it has begun says what that was: the source may have changed since, or be gone.

  Args:
    given: a place, as `Config.init_from`, or a run that was loaded.
    model: the name of its architecture.
    init: of its algorithm.
    folder: of the run, new or not; None for runs of several folders.
    say: prints one line to the user, on what is taken.

  Raises:
    UserError: the source cannot be read, or is of another architecture.
  """
  if given is None:
    return None
  like = hub.weights(jax.eval_shape(init, jax.random.key(0)))
  if before := _recorded(folder, given):
    return Beginning(before, lambda: _again(given, model, like, before))
  source = read(given)
  taken, lines = fitting(source, model, like)
  for line in lines:
    say(line)
  return Beginning(source.identity, lambda: taken)


def _recorded(folder: pathlib.Path | None, given: Given) -> dict[str, str]:
  """What a folder says that its run began with, where it was named as now; {} otherwise."""
  if folder is None or not isinstance(given, str) or not (folder / CONFIG).exists():
    return {}
  record = read_config(folder)
  same = record["config"].get("init_from") == placed(given)
  names = {DIGEST, PART} & record["determining"].keys()
  return {name: record["determining"][name] for name in names} if same else {}


def _again(given: Given, model: str, like: Start, before: dict[str, str]) -> Start:
  """The weights of a run that has begun and has no checkpoint yet."""
  source = read(given)
  if source.identity != before:
    raise UserError(
      f"--init_from={source.name} is not what this run began with, by the SHA-256 of its weights, "
      "and the run has no checkpoint yet: put it back, or use another --workdir"
    )
  return fitting(source, model, like)[0]


def placed(given: Given | None) -> str | None:
  """Returns a source as it is found from anywhere, for records."""
  if not isinstance(given, str):
    return given if given is None else repr(given)
  path, part = parse(given)
  return f"{path.absolute()}:{part}"


def parse(text: str) -> tuple[pathlib.Path, str]:
  """Returns (path, part) of `PATH[:PART]`, "both" where no part is named.

  Raises:
    UserError: there is no such part, or no path.
  """
  path, colon, part = text.rpartition(":")
  if not colon or os.path.exists(text):
    path, part = text, "both"
  elif part not in PARTS:
    if not re.fullmatch(r"\w*", part):  # a colon of the path
      return parse(f"{text}:both")
    raise UserError(f"--init_from={text}: {part!r} is unknown: choose from {', '.join(PARTS)}")
  try:
    return pathlib.Path(expanded(path)), part
  except ValueError as error:
    raise UserError(f"--init_from={text}: {error}") from error


def read(given: Given) -> Source:
  """Returns the weights that are named, or those of a run.

  Raises:
    UserError: there are none, or not of the player that is asked for.
  """
  if isinstance(given, str):
    path, part = parse(given)
    found, model = _found(path)
    name = str(path)
  else:
    if given.state is None:
      raise UserError(f"--init_from: the run has no weights to start from: it {given.summary}")
    found, model, name, part = hub.weights(given.state), given.config.model, repr(given), "both"
  weights = _part(found, part)
  if not any(weights):
    raise UserError(f"--init_from={name}:{part}: it holds no discriminator: name a run folder")
  return Source(name, part, jax.tree.map(np.asarray, weights), model)


def _found(path: pathlib.Path) -> tuple[Start, str]:
  """All weights at a path, and the name of their architecture."""
  if path.is_file():
    return hub.read(path), PASSED
  if not path.exists():
    raise UserError(f"--init_from={path} is not there: name a run folder, an export or its file")
  if not exported.form(path):
    run = restore.find(path)
    return hub.weights(run.state), run.config.model
  facts = exported.read_facts(path)
  files = {exported.HUB: exported.MODEL, "safetensors": exported.TENSORS}
  if facts["format"] not in files:
    raise UserError(
      f"--init_from={path} is an export as {facts['format']}, whose weights have no names: name "
      "the run folder, or an export as hub or safetensors"
    )
  return hub.read(path / files[facts["format"]]), facts.get("model", PASSED)


def _part(found: Start, part: str) -> Start:
  """The weights that a part asks for; an export of the average alone has it for the generator."""
  generator = found.average if part == "ema" else found.generator or found.average
  discriminator = found.discriminator if part in ("discriminator", "both") else {}
  if part == "discriminator":
    return Start(discriminator=discriminator)
  return Start(generator, discriminator, found.average)


def fitting(source: Source, model: str, like: Start) -> tuple[Start, list[str]]:
  """Returns the arrays that a run can take, by name and shape, and a line on each player.

  Args:
    source: of which they are.
    model: the name of the run's architecture.
    like: its own arrays, or their shapes.

  Raises:
    UserError: the architecture is another, or no array of two axes or more fits.
  """
  if PASSED not in (source.model, model) and source.model != model:
    raise UserError(
      f"--init_from={source.name} is of --model={source.model}, and this run is of {model}: give "
      "the same model, or start from another run"
    )
  taken, lines = {}, []
  for player in Start._fields:
    there, here = getattr(source.weights, player), getattr(like, player)
    taken[player] = fits = {
      name: array for name, array in there.items() if _shape(here, name) == list(array.shape)
    }
    others = [name for name in here | there if name not in fits]
    if there and not _suffices(fits, here):
      raise UserError(
        f"--init_from={source.name} is of another architecture: no weights of its {player} fit "
        f"({_words(others, there, here)})"
      )
    if there and player != "average":  # which is as the generator
      left = f"; not taken: {_words(others, there, here)}" if others else ""
      lines.append(
        f"{len(fits)} of {len(here)} arrays of the {player} are from {source.name}{left}"
      )
  if source.part == "both" and not source.weights.discriminator:
    lines.append(f"{source.name} holds no discriminator: that begins anew")
  return Start(**taken), lines


def _suffices(fits: dict[str, Any], here: dict[str, Any]) -> bool:
  """Whether weights are among the arrays that fit: vectors fit where little else is alike."""
  matrices = {name for name, it in here.items() if name.startswith("params/") and len(it.shape) > 1}
  return bool(matrices & fits.keys() if matrices else fits)


def _shape(arrays: dict[str, Any], name: str) -> list[int] | None:
  return list(arrays[name].shape) if name in arrays else None


def _words(names: list[str], there: dict[str, Any], here: dict[str, Any]) -> str:
  """The shapes of arrays on both sides, of SHOWN of them and the number of the others."""
  sides = [(name, _shape(there, name), _shape(here, name)) for name in names[:SHOWN]]
  said = [f"{name} {before or 'not'} there, {now or 'not'} here" for name, before, now in sides]
  more = [f"{len(names) - SHOWN} more"] * (len(names) > SHOWN)
  return "; ".join([*said, *more])
