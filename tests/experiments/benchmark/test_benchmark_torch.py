"""The peer does the same work: parameters, gradients, features and operations agree with ours."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.benchmark import cases, flops, ours
from gan.method.game import Batch
from gan.method.play import example_keys, to_range
from gan.metrics import extractors
from gan.training.build import DataInfo, build

torch = pytest.importorskip("torch", reason="PyTorch is in the extra bench")

from torch.utils import _python_dispatch, flop_counter  # noqa: E402

from experiments.benchmark import (  # noqa: E402
  torch_game,
  torch_networks,
  torch_peer,
  torch_r3gan,
  torch_resnet,
  torch_stylegan2,
)

EAGER = torch_peer.FORMS["eager"]
STEPS = cases.GROUPS["steps"]


@pytest.fixture(autouse=True)
def one_thread():
  """Threads of several libraries wait for each other where workers share cores."""
  before = torch.get_num_threads()
  torch.set_num_threads(1)
  yield
  torch.set_num_threads(before)


def algorithm_of(case, **changes):
  config = dataclasses.replace(ours.make_config(case), **changes)
  return build(config, DataInfo(case.image_shape, case.game.classes, case.batch_size, None))


@pytest.mark.parametrize(
  "name",
  ["mlp", "dcgan-28", "dcgan-32", "dcgan-64", "infogan", *cases.GROUPS["modern"], *cases.FULL],
)
def test_both_sides_have_equally_many_parameters(name):
  case = cases.parse(name)
  state = jax.eval_shape(algorithm_of(case).init, jax.random.key(0))
  for network, player in zip(
    torch_networks.build(case), (state.generator, state.discriminator), strict=True
  ):
    counted = sum(leaf.size for leaf in jax.tree.leaves(player.params))
    assert sum(p.numel() for p in network.parameters()) == counted


def draws(algorithm, key, count):
  """Latents [B, Z] and shares [B, 1, 1, 1] that an update draws from its key."""
  fake_key, rest = jax.random.split(key)
  latent_key, _ = jax.random.split(fake_key)
  places = jnp.arange(count)
  latents = jax.vmap(algorithm.gan.sample_latent)(example_keys(latent_key, places))
  penalty_key = jax.random.split(rest, 4)[2]
  uniform = jax.vmap(lambda key: jax.random.uniform(key, ()))
  shares = uniform(example_keys(penalty_key, places))
  return tensor(latents), tensor(shares).reshape(-1, 1, 1, 1)


def tensor(array):
  return torch.from_numpy(np.array(array))


def keep_biased_variances(network):
  """Makes running variances those of Flax: with 1/n, where PyTorch has 1/(n - 1)."""

  def before(norm, inputs):
    norm.kept = norm.running_var.clone()

  def after(norm, inputs, outputs):
    count = inputs[0].numel() / norm.num_features
    kept = (1 - norm.momentum) * norm.kept
    # Through `data`: autograd would take the correction for damage to what it has saved.
    norm.running_var.data.copy_(kept + (norm.running_var - kept) * (count - 1) / count)

  for norm in network.modules():
    if isinstance(norm, torch.nn.modules.batchnorm._BatchNorm):
      norm.register_forward_pre_hook(before)
      norm.register_forward_hook(after)


def load(case, players, state):
  flattened = case.size // 4, case.size // 4, 128  # what dense layers of both networks meet
  for name in ("generator", "discriminator"):
    torch_peer.load(getattr(players, name), getattr(state, name).params, flattened)
  return flattened


def check_agreement(network, before, after, gradients, flattened):
  """A step of descent at rate 1 moved our weights by the peer's gradients."""
  moved = jax.tree.map(lambda a, b: np.asarray(a) - np.asarray(b), before, after)
  arrays = list(torch_networks.in_order(network, moved, flattened))
  assert len(arrays) == len(gradients)
  # A bias before batch normalisation has no gradient but rounding, whose measure is the whole.
  whole = np.linalg.norm([np.linalg.norm(other) for other in gradients])
  for own, other in zip(arrays, gradients, strict=True):
    error = np.linalg.norm(own - other.numpy())
    assert error <= 2e-4 * np.linalg.norm(other) + 1e-5 * whole


@pytest.mark.parametrize("player", ["discriminator", "generator"])
@pytest.mark.parametrize("name", ["dcgan-28-r1-b6", "dcgan-28-wgan_gp-b6", "infogan-r1-b6"])
def test_the_same_weights_have_the_same_gradients(name, player):
  """One step of plain descent by one player alone: both gradients are of the initial weights.

  After a step of D at such a rate G's gradient would be ill-conditioned: rounding would decide.
  """
  case = cases.parse(name)
  rates = {"generator_learning_rate": 0.0, "discriminator_learning_rate": 0.0}
  algorithm = algorithm_of(case, optimizer="sgd", **(rates | {f"{player}_learning_rate": 1.0}))
  key = jax.random.key(3)
  state = jax.jit(algorithm.init)(key)
  images = jax.random.bits(key, (1, case.batch_size, *case.image_shape), jnp.uint8)
  stepped, _ = jax.jit(algorithm.step)(state, Batch(images, None), key)

  players = torch_peer.make_players(case, EAGER, "cpu")
  flattened = load(case, players, state)
  keep_biased_variances(players.discriminator)
  of_discriminator, of_generator = torch_peer.make_gradients(case, players, "cpu")
  keys = jax.random.split(jax.random.fold_in(key, 0), 2)
  if player == "discriminator":
    real = tensor(to_range(images[0], algorithm.gan.image_range)).permute(0, 3, 1, 2)
    gradients = of_discriminator(real, *draws(algorithm, keys[0], case.batch_size))
  else:
    gradients = of_generator(draws(algorithm, keys[1], case.batch_size)[0], None)
  before, after = (getattr(each, player).params for each in (state, stepped))
  check_agreement(getattr(players, player), before, after, gradients, flattened)


def off_their_start(player):
  """A player whose weights are none that it starts with; StyleGAN2's noise stays off."""
  draw = np.random.default_rng(0).standard_normal

  def moved(path, leaf):
    noise = "strength" in jax.tree_util.keystr(path)
    return leaf if noise else leaf + 0.1 * draw(leaf.shape, np.float32)

  return player.replace(params=jax.tree_util.tree_map_with_path(moved, player.params))


def load_modern(case, network, player):
  """Gives a network our weights, and the vectors of spectral normalisation."""
  if case.model.startswith("r3gan"):
    network.load_state_dict(torch_r3gan.state_dict(player.params))
  elif case.model.startswith("stylegan2"):
    tensors = torch_stylegan2.as_module(torch_stylegan2.as_tensors(jax.device_get(player.params)))
    network.params.load_state_dict(tensors.state_dict())
  else:
    torch_resnet.load(network, player.params, player.model_state.get("spectral", {}))


TINY = ["resnet-w4-b4", "biggan-w4-b4", "stylegan2-w4-b4", "r3gan-w48-b4"]
REDUCED = [
  *("sngan_cifar10-w4-b4-k1", "biggan_cifar10-w1-b4-k1", "stylegan2_cifar10-w4-b4"),
  "r3gan_cifar10-w16-b4",
]
# What a preset has that leaves the time of a step alone, set to what the networks above have.
PLAIN = {
  "update_rule": "alternating",
  "generator_batch_size": None,
  "schedules": "",
  "penalty_every": 1,
  "fake_labels": "batch",
  "mirror": False,
  "dequantize": False,
  "precision": "float32",
}


@pytest.mark.parametrize("name", [*TINY, *REDUCED])
def test_the_same_weights_have_the_same_losses(name):
  """Of the first step, at rates of 0: D's loss with its penalty, and G's loss after it."""
  case = cases.parse(name)
  rates = {"generator_learning_rate": 0.0, "discriminator_learning_rate": 0.0}
  algorithm, key = algorithm_of(case, **rates, **PLAIN), jax.random.key(3)
  state = jax.jit(algorithm.init)(key)
  state = state.replace(
    generator=off_their_start(state.generator), discriminator=off_their_start(state.discriminator)
  )
  images = jax.random.bits(key, (1, case.batch_size, *case.image_shape), jnp.uint8)
  labels = np.arange(case.batch_size)[None] % case.game.classes if case.game.classes else None
  _, metrics = jax.jit(algorithm.step)(state, Batch(images, labels), key)

  players = torch_peer.make_players(case, EAGER, "cpu")
  load_modern(case, players.generator, state.generator)
  load_modern(case, players.discriminator, state.discriminator)
  real = tensor(to_range(images[0], algorithm.gan.image_range)).permute(0, 3, 1, 2)
  given = () if labels is None else (tensor(labels[0]),)
  keys = jax.random.split(jax.random.fold_in(key, 0), 2)
  latents, shares = draws(algorithm, keys[0], case.batch_size)
  fake = players.generator(latents, *given).detach()
  loss = torch_game.discriminator_loss(case, players, real, fake, shares, *given)
  weight = case.game.penalty_weight * case.game.penalty_every
  expected = metrics["discriminator_loss"] + weight * metrics.get("penalty", 0)
  assert loss.item() == pytest.approx(float(expected), rel=1e-4)

  # Ours: G's update starts from the vectors that G had, and D judges the data before the samples.
  load_modern(case, players.generator, state.generator)
  players.discriminator(real, *given)
  latents, _ = draws(algorithm, keys[1], case.batch_size)
  loss = torch_game.generator_loss(case, players, latents, real, *given)
  assert loss.item() == pytest.approx(float(metrics["generator_loss"]), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("name", ["dcgan-28-b2-k2", *TINY, *REDUCED])
def test_the_worker_steps_both_players(name):
  case = cases.parse(name)
  players = torch_peer.make_players(case, EAGER, "cpu")
  before = [[p.detach().clone() for p in params] for params in players.parameters]
  run, about = torch_peer._training(case, players, EAGER, "cpu")
  run(1)
  assert about["optimizer"] in ("Adam, foreach", "Adam, fused")
  for old, new in zip(before, players.parameters, strict=True):
    # In the hinge loss data and samples cancel in the gradient of D's last bias.
    pairs = ((a, b) for a, b in zip(old, new, strict=True) if a.ndim > 1)
    assert all((a != b).any() for a, b in pairs)


def test_the_average_of_a_generator_follows_it():
  generator = torch.nn.BatchNorm2d(2)
  move = torch_peer._averaging(generator)
  with torch.no_grad():
    generator.weight += 1.0
  averages = move()
  np.testing.assert_allclose(averages[0], 2 - cases.EMA_DECAY, rtol=1e-6)


def test_the_image_range_is_the_models():
  for name in cases.MODELS:
    case = cases.parse(name)
    assert torch_peer.image_range(case) == algorithm_of(case).gan.image_range


def test_features_are_those_of_the_shipped_classifier():
  images = np.random.default_rng(0).integers(0, 256, (8, 28, 28, 1), np.uint8)
  extracted = torch_peer.make_extractor(EAGER, "cpu")(images).numpy()
  expected = extractors.load("mnist").extract(images).features
  np.testing.assert_allclose(extracted, expected, rtol=1e-3, atol=1e-3)


def test_the_frechet_distance_is_that_of_the_metrics():
  from gan.metrics.frechet import frechet_distance

  real, fake = np.random.default_rng(0).normal(size=(2, 300, 8)) * [[[1.0]], [[1.5]]]
  own = frechet_distance(real, fake)
  assert torch_peer.frechet_distance(tensor(real), tensor(fake)) == pytest.approx(own, rel=1e-6)


class Counter(_python_dispatch.TorchDispatchMode):
  """Adds up the operations of products and convolutions that are executed."""

  total = 0

  def __torch_dispatch__(self, function, types, args=(), kwargs=None):
    outputs = function(*args, **(kwargs or {}))
    count = flop_counter.flop_registry.get(function._overloadpacket)
    if count:
      self.total += count(*args, **(kwargs or {}), out_val=outputs)
    return outputs


def executed(case):
  players = torch_peer.make_players(case, EAGER, "cpu")
  of_discriminator, of_generator = torch_peer.make_gradients(case, players, "cpu")
  height, width, channels = case.image_shape
  real = torch.rand(case.batch_size, channels, height, width)
  latents = torch.randn(case.batch_size, cases.LATENT_DIM)
  with Counter() as counter:
    of_discriminator(real, latents, torch.rand(case.batch_size, 1, 1, 1))
    of_generator(latents, real)
  return counter.total


@pytest.mark.parametrize("name", STEPS)
def test_the_operations_are_those_that_are_executed(name):
  case = cases.parse(name)._replace(batch_size=2)
  counted, real = flops.step_flops(case), executed(case)
  if case.penalty == "none":
    assert counted == real
  else:
    # PyTorch also carries zeros back through the score, whose second derivative is 0.
    assert counted <= real < 1.13 * counted


def test_the_operations_of_sampling_are_those_that_are_executed():
  case = cases.parse("infogan-sampling")
  generator = torch_peer.make_players(case, EAGER, "cpu").generator.eval()
  with Counter() as counter:
    generator(torch.randn(cases.SAMPLING_BATCH, cases.LATENT_DIM))
  assert counter.total == flops.sampling_flops(case)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_pytorch_without_a_gpu_is_refused_beside_a_jax_that_has_one(monkeypatch):
  monkeypatch.setattr(torch_peer.sys, "argv", ["torch_peer", "mlp", "eager", "gpu"])
  with pytest.raises(SystemExit, match="CUDA build"):
    torch_peer.main()
