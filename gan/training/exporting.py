"""Writes the generator of a run in forms that other programs take, and reads each back.

EXPORTERS has them by name: `(run, folder) -> function`, which writes and then returns the function
that was written, read back from the disk, or None where nothing here runs it. That function is
`(latents [B, d] float32[, labels [B] int32]) -> float32 [B, H, W, C]` in the run's `image_range`,
or points [B, 2].
"""

import importlib
import logging
import os
import pathlib
import shutil
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gan.errors import UserError
from gan.state import begun_with, named
from gan.system import safetensors, tensors
from gan.training import exported, hub, pictures, plain_program, sampling
from gan.training.exported import MODEL, TENSORS
from gan.training.restore import LoadedRun
from gan.training.run_folder import writable_folder, write_json

SAMPLES = "samples.png"
PLATFORMS = ("cpu", "cuda", "tpu")
CHECKED = 16  # examples on which what was written is compared with the run
ONNX = "generator.onnx"
_NEEDS_ONNX = (
  "ONNX needs jax2onnx: pip install 'gan-jax[export]', and then pip install --no-deps "
  "'jax2onnx>=0.17', whose own list of packages asks for an older Orbax"
)
Generator = Callable[..., Any]


def generator(run: LoadedRun, params: Any = None, model_state: Any = None) -> Generator:
  """Returns the function that is exported, of a run's weights or of others in their place."""
  params = jax.tree.map(jnp.asarray, run.state.ema_params if params is None else params)
  model_state = run.state.ema_model_state if model_state is None else model_state

  def images(latents: Array, labels: Array | None = None) -> Array:
    drawn, _ = run.gan.generator.apply(params, model_state, latents, labels, train=False)
    return drawn.astype(jnp.float32)

  return images


def write(
  run: LoadedRun,
  form: str,
  folder: pathlib.Path,
  facts: dict[str, Any],
  card: str,
  records: Mapping[str, Any] = MappingProxyType({}),
) -> Any:
  """Exports a generator into a new folder, whole or not at all; returns the function, read back.

  Args:
    run: whose averaged generator it is.
    form: a key of EXPORTERS.
    folder: which is made.
    facts: of export.json.
    card: text of README.md.
    records: JSON values by the names of the files that hold them beside it.

  Raises:
    UserError: the folder holds something, the form lacks an operation, or a package is missing.
  """
  if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
    raise UserError(f"{folder} is there already: name a new folder for the export")
  folder = folder.resolve()  # "." has no name, and a link is no folder
  writable_folder(folder.parent)
  part = folder.with_name(f"{folder.name}.{os.getpid()}.part")
  part.mkdir(parents=True)
  try:
    back = EXPORTERS[form](run, part)
    write_json(part / exported.EXPORT, facts | {"sha256": exported.checksums(part)})
    for name, value in records.items():
      write_json(part / name, value)
    (part / "README.md").write_text(card, encoding="utf-8")
    part.replace(folder)
  finally:
    shutil.rmtree(part, ignore_errors=True)
  return back


def greatest_error(run: LoadedRun, back: Generator) -> float:
  """Returns max |live - read back| over CHECKED examples, a number in units of the image range."""
  arguments = examples(run)
  live = np.asarray(jax.jit(generator(run))(*arguments))
  return float(np.abs(live - np.asarray(back(*arguments))).max())


def examples(run: LoadedRun) -> list[Array]:
  """Returns latents, and labels for a conditional run, of the keys of one seed."""
  latents = jax.vmap(run.gan.sample_latent)(jax.random.split(jax.random.key(0), CHECKED))
  classes = run.info.num_classes
  labels = [jnp.arange(CHECKED, dtype=jnp.int32) % classes] if run.config.conditional else []
  return [latents.astype(jnp.float32), *labels]


def _stablehlo(run: LoadedRun, folder: pathlib.Path) -> Generator:
  """Two programs for all of PLATFORMS and any batch: the generator, and that of its latents."""
  exported.require_flatbuffers()
  (batch,) = jax.export.symbolic_shape("batch")
  specs = [jax.ShapeDtypeStruct((batch, *like.shape[1:]), like.dtype) for like in examples(run)]
  places = jax.ShapeDtypeStruct((batch,), jnp.int32)
  data = jax.ShapeDtypeStruct((2,), jnp.uint32)
  for name, function, arguments in (
    (exported.GENERATOR, generator(run), specs),
    (exported.LATENTS, _latents(run), [data, places]),
  ):
    (folder / name).write_bytes(_lowered(function, arguments))
  return exported.program(folder / exported.GENERATOR)


def _latents(run: LoadedRun) -> Callable[[Array, Array], Float[Array, "b z"]]:
  def latents(data: Array, places: Array) -> Array:
    key = jax.random.wrap_key_data(data, impl="threefry2x32")
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, places)
    return jax.vmap(run.gan.sample_latent)(keys).astype(jnp.float32)

  return latents


def _lowered(function: Generator, arguments: list[jax.ShapeDtypeStruct]) -> bytes:
  try:
    program = jax.export.export(jax.jit(function), platforms=PLATFORMS)(*arguments)
    return bytes(program.serialize())
  except Exception as error:  # of whatever operation has no form for a batch that is not known
    raise _lacks("StableHLO", error) from error


def _lacks(form: str, error: Exception) -> UserError:
  reason = str(error).strip().split("\n")[0] or type(error).__name__
  return UserError(
    f"this generator cannot be written as {form}: {reason[:300]}; choose another --format"
  )


def _onnx(run: LoadedRun, folder: pathlib.Path) -> Generator | None:
  """A graph of ONNX for any batch, in the forms of no platform in particular."""
  convert = _converter()
  specs = [jax.ShapeDtypeStruct(("B", *like.shape[1:]), like.dtype) for like in examples(run)]
  try:
    model = convert(plain_program.without_platforms(generator(run)), specs)
  except Exception as error:  # jax2onnx raises of each operation that it lacks another kind
    raise _lacks("ONNX", error) from error
  (folder / ONNX).write_bytes(model.SerializeToString())
  return _onnx_session(folder / ONNX)


def _converter() -> Callable[..., Any]:
  # They warn of each library that is absent, and of shapes that stay open.
  for name in ("jax2onnx", "onnx_ir"):
    logging.getLogger(name).setLevel(logging.CRITICAL)
  try:
    # Not a statement: it can be no requirement of an extra, for its list contradicts ours.
    return importlib.import_module("jax2onnx").to_onnx
  except ImportError as error:
    raise UserError(_NEEDS_ONNX) from error


def _onnx_session(path: pathlib.Path) -> Generator | None:
  try:
    import onnxruntime
  except ImportError:
    return None
  options = onnxruntime.SessionOptions()
  options.log_severity_level = 3  # errors: shapes that it cannot infer are warnings
  session = onnxruntime.InferenceSession(path.read_bytes(), options)
  names = [each.name for each in session.get_inputs()]

  def run(*arguments: Array) -> np.ndarray:
    return session.run(None, dict(zip(names, map(np.asarray, arguments), strict=True)))[0]

  return run


def _safetensors(run: LoadedRun, folder: pathlib.Path) -> Generator:
  """Parameters and model state by their paths: params/Dense_0/kernel."""
  average = run.state.ema_params, run.state.ema_model_state
  arrays = {name: np.asarray(leaf) for name, leaf in named(*average).items()}
  safetensors.write(folder / TENSORS, arrays)
  return jax.jit(generator(run, *begun_with(*average, tensors.read(folder / TENSORS))))


def _hub(run: LoadedRun, folder: pathlib.Path) -> Generator:
  """The weights of both players and of the average, and a grid of samples."""
  hub.write(folder, run.state)
  pictures.save(_grid(run), folder / SAMPLES)
  average = run.state.ema_params, run.state.ema_model_state
  return jax.jit(generator(run, *begun_with(*average, hub.read(folder / MODEL).average)))


def _grid(run: LoadedRun) -> Any:
  """The picture of 64 samples, or of 2,500 points."""
  key, points = jax.random.key(0), len(run.info.image_shape) == 1
  classes = run.info.num_classes if run.config.conditional else 0
  title = f"{run.config.dataset}  step {int(run.state.step)}"
  draw = sampling.scatter if points else sampling.grid
  what = sampling.square(run.gan, key, classes, count=2500 if points else 64)
  return draw(run.gan, run.state, what, title)


EXPORTERS = {"stablehlo": _stablehlo, "onnx": _onnx, "safetensors": _safetensors, "hub": _hub}
