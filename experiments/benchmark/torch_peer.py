"""A worker that does a case with PyTorch: `python -m experiments.benchmark.torch_peer CASE FORM`.

The same algorithm with the same counts: k updates of D on data and on fresh samples in calls of
their own, one update of G; D's training mode for logits, running statistics for the penalty's
logits. Where D treats both alike, as `dcgan` does, R1 takes the gradient of the logits that the
loss has. Running variances are unbiased here, and move in the update of the other player too; so do
the vectors of spectral normalisation and the mean w of StyleGAN2.

G's average is made for the networks of cases.GAMES alone, where ours has one for all. Its R1 takes
logits of its own for `stylegan2`, as ours does, with the running mean of the batch's standard
deviation; an author of PyTorch code would take those of the loss, and save a pass of D. Labels are
those of the batch for both players.
"""

import itertools
import os
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from experiments.benchmark import cases, worker
from experiments.benchmark.cases import GPU, Case
from experiments.benchmark.torch_game import PRECISIONS, Players, autocast, make_gradients
from experiments.benchmark.torch_networks import Classifier, build, in_inference_mode, in_order
from gan.system.cores import cores

SIDES = {"cpu": 2048, "cuda": 8192}  # of the matrices whose product is timed
OPTIMIZER_TRIALS = 10


class Form(NamedTuple):
  """How PyTorch does a case: eager or compiled, and the layout of images in memory."""

  compiled: bool
  layout: torch.memory_format

  def compile(self, function: Callable, device: str) -> Callable:
    """Compiles a function where the form says so; on a GPU into CUDA graphs."""
    mode = "reduce-overhead" if device == "cuda" else "default"
    return torch.compile(function, mode=mode) if self.compiled else function


FORMS = {
  "eager": Form(False, torch.contiguous_format),
  "channels_last": Form(False, torch.channels_last),
  "compile": Form(True, torch.contiguous_format),
  "compile_channels_last": Form(True, torch.channels_last),
}


def main():
  name, form, kind = sys.argv[1:]
  torch.set_num_threads(len(cores()))
  # A gradient within a compiled function: penalties need the gradient of one.
  torch._dynamo.config.trace_autograd_ops = True
  device = "cuda" if kind == GPU else "cpu"
  if device == "cuda":
    if not torch.cuda.is_available():
      sys.exit(
        "error: JAX has a GPU here and this PyTorch has none: install a CUDA build of it, or set "
        "JAX_PLATFORMS=cpu"
      )
    torch.set_float32_matmul_precision("high")  # TF32, as XLA does by default
  worker.serve(make_work(cases.parse(name), FORMS[form], device))


def make_work(case: Case, form: Form, device: str) -> worker.Work:
  """Returns what a worker can do for a case."""
  players = make_players(case, form, device)
  counts = [sum(p.numel() for p in params) for params in players.parameters]
  run, about = _TASKS[case.task](case, players, form, device)
  about |= {"version": torch.__version__, "threads": torch.get_num_threads()}
  if device == "cuda":
    run = _synchronised(run)
  return worker.Work(counts, run, lambda: _rate(case, device), lambda: _memory(device), about)


def make_players(case: Case, form: Form, device: str) -> Players:
  """Returns the networks in the layout of the form."""
  generator, discriminator = (
    network.to(device, memory_format=form.layout) for network in build(case)
  )
  return Players(generator, discriminator, in_inference_mode(discriminator))


def image_range(case: Case) -> tuple[float, float]:
  """Returns the range of the pixels that the generator makes."""
  return (0.0, 1.0) if case.model == "infogan" else (-1.0, 1.0)


# The tasks: each returns `run(count)` and what goes with the results.


def _training(case, players, form, device):
  of_discriminator, of_generator, unpenalised = _gradients(case, players, form, device)
  generator_params, discriminator_params = players.parameters
  generator_adam, kind = fastest_adam(generator_params)
  discriminator_adam, _ = fastest_adam(discriminator_params)
  size, game = case.batch_size, case.game
  examples = _examples(case, form, device)
  move_average = _averaging(players.generator) if game.averaged else lambda: None
  steps = itertools.count()

  def latents(count):
    return torch.randn(count, game.latent_dim, device=device)

  def step():
    gradients = unpenalised if next(steps) % game.penalty_every else of_discriminator
    for _ in range(case.discriminator_steps):
      real, *labels = examples(size)
      share = torch.rand(size, 1, 1, 1, device=device)
      _apply(
        discriminator_adam,
        discriminator_params,
        gradients(real, latents(size), share, *labels),
      )
    if case.generator_batch_size != size:
      real, *labels = examples(case.generator_batch_size)
    found = of_generator(latents(case.generator_batch_size), real, *labels)
    _apply(generator_adam, generator_params, found)
    move_average()

  return _repeated(step), {"optimizer": f"Adam, {kind}"}


def _gradients(case, players, form, device):
  """Of D with its penalty, of G, and of D without: a step of a lazy penalty has one of the two."""
  unpenalised, _ = make_gradients(case._replace(penalty="none"), players, device)
  functions = *make_gradients(case, players, device), unpenalised
  return tuple(form.compile(function, device) for function in functions)


def _examples(case, form, device):
  """`count -> (real images,)`, or with their labels: drawn, and altered as the preset has it."""
  game, (low, high) = case.game, image_range(case)
  shape = (10 * case.batch_size, *_shape(case))
  data = torch.randint(0, 256, shape, dtype=torch.uint8, device=device)
  data = data.contiguous(memory_format=form.layout)
  classes = torch.arange(len(data), device=device) % game.classes if game.classes else None

  def examples(count):
    chosen = torch.randint(len(data), (count,), device=device)
    real = data[chosen].float()
    if game.dequantized:
      real = (real + torch.rand_like(real)) * (255 / 256)
    if game.mirrored:
      real = torch.where(torch.rand(count, 1, 1, 1, device=device) < 0.5, real, real.flip(3))
    real = real * ((high - low) / 255) + low
    return (real,) if classes is None else (real, classes[chosen])

  return examples


def _averaging(generator):
  """A function that moves an average of G's parameters and statistics towards what they are."""
  now = [each for each in generator.state_dict().values() if each.is_floating_point()]
  averages = [each.clone() for each in now]
  return lambda: torch._foreach_lerp_(averages, now, 1 - cases.EMA_DECAY)


def _shape(case):
  height, width, channels = case.image_shape
  return channels, height, width


def _repeated(once):
  def run(count):
    for _ in range(count):
      once()

  return run


def _apply(optimizer, params, gradients):
  for param, gradient in zip(params, gradients, strict=True):
    param.grad = _laid_out(gradient, param)
  optimizer.step()


def _laid_out(gradient, param):
  """The gradient in its parameter's layout, as `backward` gives it and fused optimisers need it."""
  if gradient.stride() == param.stride():
    return gradient
  return torch.empty_like(param).copy_(gradient)


def fastest_adam(params: list[nn.Parameter]) -> tuple[torch.optim.Optimizer, str]:
  """Returns Adam on the parameters in its quickest implementation, and its name."""
  seconds = {kind: _adam_seconds(params, kind) for kind in ("foreach", "fused")}
  kind = min(seconds, key=seconds.get)
  return _adam(params, kind), kind


def _adam(params, kind):
  return torch.optim.Adam(params, cases.LEARNING_RATE, (cases.B1, cases.B2), **{kind: True})


def _adam_seconds(params, kind):
  """Seconds of some updates of copies."""
  copies = [param.detach().clone().requires_grad_() for param in params]
  optimizer, gradients = _adam(copies, kind), [torch.randn_like(copy) for copy in copies]
  _apply(optimizer, copies, gradients)
  began = time.perf_counter()
  for _ in range(OPTIMIZER_TRIALS):
    _apply(optimizer, copies, gradients)
  if params[0].is_cuda:
    torch.cuda.synchronize()
  return time.perf_counter() - began


def _sampling(case, players, form, device):
  draw = _drawing(case, players, form, device)
  return _repeated(draw), {}


def _drawing(case, players, form, device):
  """`() -> [500, H, W, C]` uint8 images in NumPy."""
  generator = form.compile(players.generator.eval(), device)
  low, high = image_range(case)
  precision = autocast(case, device)

  @torch.inference_mode()
  def draw():
    with precision():
      images = generator(torch.randn(cases.SAMPLING_BATCH, case.game.latent_dim, device=device))
    pixels = ((images.float() - low) * (255 / (high - low))).round().clamp(0, 255)
    return pixels.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()

  return draw


def _evaluation(case, players, form, device):
  draw = _drawing(case, players, form, device)
  extract = make_extractor(form, device)
  shape = cases.EVALUATED, *case.image_shape
  reference = extract(np.random.default_rng(0).integers(0, 256, shape, np.uint8))

  def evaluate():
    fake = [draw() for _ in range(cases.EVALUATED // cases.SAMPLING_BATCH)]
    frechet_distance(reference, extract(np.concatenate(fake)))

  return _repeated(evaluate), {}


def make_extractor(form: Form, device: str) -> Callable[[np.ndarray], torch.Tensor]:
  """Returns `images [N, H, W, C] uint8 -> features [N, 64]` float64, by the shipped weights."""
  classifier = Classifier()
  load(classifier, _shipped_weights(), (7, 7, 64))
  classifier = form.compile(classifier.to(device, memory_format=form.layout).eval(), device)

  @torch.inference_mode()
  def extract(images):
    batches = torch.from_numpy(images).permute(0, 3, 1, 2).split(cases.SAMPLING_BATCH)
    scaled = (batch.to(device).float() / 127.5 - 1 for batch in batches)
    return torch.cat([classifier(batch).double() for batch in scaled])

  return extract


def _shipped_weights():
  """The file of `gan.metrics.extractors`, read without JAX, as nested dicts."""
  import gan

  path = os.path.join(os.path.dirname(gan.__file__), "metrics", "extractors", "mnist.npz")
  params = {}
  with np.load(path) as archive:
    for name in archive.files:
      *layers, leaf = name.split("/")
      node = params
      for layer in layers:
        node = node.setdefault(layer, {})
      node[leaf] = archive[name]
  return params


def load(network: nn.Module, params: dict, flattened: tuple[int, int, int] | None) -> None:
  """Gives a network our weights; see `torch_networks.in_order`."""
  arrays = in_order(network, params, flattened)
  with torch.no_grad():
    for parameter, array in zip(network.parameters(), arrays, strict=True):
      parameter.copy_(torch.from_numpy(np.array(array, np.float32)))


def frechet_distance(real: torch.Tensor, fake: torch.Tensor) -> float:
  """Returns the squared Frechet distance, the root's trace by eigenvalues of the product."""
  (mean1, cov1), (mean2, cov2) = ((f.mean(0), torch.cov(f.T)) for f in (real, fake))
  root = torch.linalg.eigvals(cov1 @ cov2).sqrt().real.sum()
  return float((mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * root)


_TASKS = {"step": _training, "start": _training, "sampling": _sampling, "evaluation": _evaluation}


# The machine.


def _synchronised(run):
  def wait(count):
    run(count)
    torch.cuda.synchronize()

  return wait


def _rate(case, device):
  side = SIDES[device]
  matrix = torch.randn(side, side, device=device, dtype=PRECISIONS[case.precision])

  def product():
    torch.mm(matrix, matrix)
    if device == "cuda":
      torch.cuda.synchronize()

  return worker.product_rate(product, side)


def _memory(device):
  if device == "cpu":
    return worker.resident_mib()
  return torch.cuda.max_memory_reserved() / worker.MIB


if __name__ == "__main__":
  main()
