"""DINOv2: its sizes and positions, its peer in PyTorch, and what it refuses."""

import functools
import math
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from gan.errors import UserError
from gan.metrics.extractors import dinov2
from gan.system import tensors

SMALL = dinov2.Size("small", 128, 2)  # two heads


@functools.cache
def arrays():
  draws = np.random.default_rng(0)
  found = {}
  for name, shape in dinov2.shapes(SMALL).items():
    scale = 1 / math.sqrt(math.prod(shape[1:])) if name.endswith("weight") else 0.5
    found[name] = draws.standard_normal(shape, np.float32) * np.float32(scale)
  return found


def images(count=2, shape=(32, 32, 3), seed=0):
  return np.random.default_rng(seed).integers(256, size=(count, *shape), dtype=np.uint8)


@pytest.fixture
def given(monkeypatch, tmp_path):
  """Gives `make` arrays as if they were read from a file."""

  def give(changed):
    monkeypatch.setattr(dinov2, "SIZES", (SMALL,))
    monkeypatch.setattr(tensors, "read", lambda path: changed)
    (tmp_path / "file.pth").write_bytes(b"weights")
    return tmp_path / "file.pth"

  return give


# What it is made of.


@pytest.mark.parametrize(
  "size, count", list(zip(dinov2.SIZES, (22_056_192, 86_579_712, 304_367_616), strict=True))
)
def test_parameters_are_as_many_as_published(size, count):
  """The published counts hold the token of masks as well, of the network's width."""
  width = size.width
  block = 12 * width**2 + 15 * width
  outside = 1 * width + 1370 * width + 3 * 14 * 14 * width + width + 2 * width
  assert sum(map(math.prod, dinov2.shapes(size).values())) == size.depth * block + outside == count


def test_positions_are_mixed_by_cubic_convolution():
  """The first of 16 lies at 0.5 * 37 / 16.1 - 0.5 = 0.649 of 37, before the second."""
  embedding = np.ones((1, 1 + 37**2, 1), np.float32)
  embedding[0, 0] = 7
  assert (dinov2.positions(embedding)[0, 0], dinov2.positions(embedding).shape) == (7, (1, 257, 1))
  np.testing.assert_allclose(dinov2.positions(embedding)[0, 1:], 1, rtol=1e-6)
  embedding[0, 1:] = np.repeat(np.arange(37) == 1, 37)[:, None]
  x = 1 - (0.5 * 37 / 16.1 - 0.5)
  second = 1.25 * x**3 - 2.25 * x**2 + 1
  np.testing.assert_allclose(dinov2.positions(embedding)[0, 1:17], second, rtol=1e-5)
  embedding[0, 1:] = np.repeat(np.arange(37) == 0, 37)[:, None]  # twice: before it there is none
  near, far = 1 - x, 2 - x
  first = 1.25 * near**3 - 2.25 * near**2 + 1 - 0.75 * (far**3 - 5 * far**2 + 8 * far - 4)
  np.testing.assert_allclose(dinov2.positions(embedding)[0, 1:17], first, rtol=1e-5)


def test_positions_are_those_of_pytorch():
  torch = pytest.importorskip("torch", reason="PyTorch is in the extra bench")
  embedding = arrays()["pos_embed"]
  grid = torch.from_numpy(embedding[0, 1:].reshape(1, 37, 37, -1)).permute(0, 3, 1, 2)
  factor = (16 + 0.1) / 37
  expected = torch.nn.functional.interpolate(grid, scale_factor=(factor, factor), mode="bicubic")
  found = dinov2.positions(embedding)[0, 1:].reshape(16, 16, -1)
  np.testing.assert_allclose(found, expected[0].permute(1, 2, 0), atol=1e-5)


def test_images_are_resized_by_pillow():
  given = images()
  expected = Image.fromarray(given[0]).resize((224, 224), Image.Resampling.BICUBIC)
  np.testing.assert_array_equal(dinov2.bicubic(given)[0], np.asarray(expected))
  grey = dinov2.bicubic(jnp.asarray(given[..., :1]))
  np.testing.assert_array_equal(grey[1, ..., 0], dinov2.bicubic(given)[1, ..., 0])


# The extractor.


def torch_features(torch, state, pixels):
  """The network by PyTorch's own layers, and its class token."""
  functional, width = torch.nn.functional, SMALL.width

  def linear(name, x):
    return functional.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])

  def normalised(name, x):
    return functional.layer_norm(x, (width,), state[f"{name}.weight"], state[f"{name}.bias"], 1e-6)

  def block(name, x):
    heads = linear(f"{name}.attn.qkv", normalised(f"{name}.norm1", x))
    heads = heads.reshape(len(x), -1, 3, width // 64, 64).permute(2, 0, 3, 1, 4)
    attended = functional.scaled_dot_product_attention(*heads).transpose(1, 2).reshape(x.shape)
    x = x + state[f"{name}.ls1.gamma"] * linear(f"{name}.attn.proj", attended)
    hidden = functional.gelu(linear(f"{name}.mlp.fc1", normalised(f"{name}.norm2", x)))
    return x + state[f"{name}.ls2.gamma"] * linear(f"{name}.mlp.fc2", hidden)

  patches = functional.conv2d(
    pixels, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=14
  )
  tokens = torch.cat([state["cls_token"].expand(len(pixels), 1, -1), patches.flatten(2).mT], 1)
  grid = state["pos_embed"][:, 1:].mT.reshape(1, width, 37, 37)
  resized = functional.interpolate(grid, scale_factor=(16.1 / 37,) * 2, mode="bicubic")
  tokens = tokens + torch.cat([state["pos_embed"][:, :1], resized.flatten(2).mT], 1)
  for name in ("blocks.0", "blocks.1"):
    tokens = block(name, tokens)
  return normalised("norm", tokens)[:, 0]


@pytest.mark.parametrize("resize", ["bicubic", "bilinear"])
def test_features_are_those_of_pytorch(given, resize):
  torch = pytest.importorskip("torch", reason="PyTorch is in the extra bench")
  state = {name: torch.from_numpy(array) for name, array in arrays().items()}
  seen = images()
  if resize == "bicubic":
    resized = dinov2.bicubic(seen)
  else:
    peer = pytest.importorskip("torch_fidelity.interpolate_compat_tensorflow")
    pixels = torch.from_numpy(seen.transpose(0, 3, 1, 2).copy()).float()
    resized = peer.interpolate_bilinear_2d_like_tensorflow1x(
      pixels, size=(224, 224), align_corners=False
    )
    resized = resized.permute(0, 2, 3, 1).numpy()
  pixels = (resized / 255 - np.array(dinov2.MEAN)) / np.array(dinov2.STD)
  pixels = torch.from_numpy(pixels.transpose(0, 3, 1, 2).astype(np.float32))
  found, logits = dinov2.make(given(arrays()), resize).function(seen)
  assert logits is None
  np.testing.assert_allclose(found, torch_features(torch, state, pixels), rtol=1e-4, atol=1e-4)


def test_a_grey_image_is_seen_three_times_and_images_are_independent(given):
  function = dinov2.make(given(arrays())).function
  grey = images(shape=(28, 28, 1))
  found, _ = function(grey)
  again, _ = function(jnp.asarray(np.repeat(grey[::-1], 3, axis=-1)))
  assert found.shape == (2, 128)
  np.testing.assert_allclose(found, again[::-1], rtol=1e-5, atol=1e-5)


def test_attention_over_equal_tokens_is_their_value():
  """With equal patches and positions the softmax is uniform, whatever queries and keys are."""
  params = dict(arrays())
  token = np.random.default_rng(1).normal(size=(1, 1, 128)).astype(np.float32)
  params["cls_token"], params["pos_embed"] = token, np.zeros((1, 257, 128), np.float32)
  params["patch_embed.proj.weight"] = np.zeros((128, 3, 14, 14), np.float32)
  params["patch_embed.proj.bias"] = token[0, 0]
  found = dinov2.features(params, jnp.zeros((1, 224, 224, 3)))
  for block in ("blocks.0.", "blocks.1."):
    token = step(params, block, token[0, 0])[None, None]
  np.testing.assert_allclose(found[0], normal(params, "norm.", token[0, 0]), rtol=1e-4, atol=1e-4)


def step(params, block, token):
  """A block of one token, in NumPy: attention passes its value on."""
  value = linear(params, f"{block}attn.qkv", normal(params, f"{block}norm1.", token))[256:]
  token = token + params[f"{block}ls1.gamma"] * linear(params, f"{block}attn.proj", value)
  hidden = linear(params, f"{block}mlp.fc1", normal(params, f"{block}norm2.", token))
  hidden *= [(1 + math.erf(value / math.sqrt(2))) / 2 for value in hidden]
  return token + params[f"{block}ls2.gamma"] * linear(params, f"{block}mlp.fc2", hidden)


def linear(params, name, token):
  return params[f"{name}.weight"] @ token + params[f"{name}.bias"]


def normal(params, name, token):
  scaled = (token - token.mean()) / np.sqrt(token.var() + 1e-6)
  return scaled * params[f"{name}weight"] + params[f"{name}bias"]


def test_the_sum_of_features_is_that_of_record():
  """Of torch-fidelity's own tests, for ViT-B/14 and its resize."""
  torch = pytest.importorskip("torch", reason="PyTorch is in the extra bench")
  if not (path := os.environ.get("GAN_DINOV2")):
    pytest.skip("GAN_DINOV2 names no file of weights")
  extractor = dinov2.make(path, "bilinear")
  if extractor.about["network"] != "ViT-B/14":
    pytest.skip("GAN_DINOV2 is not ViT-B/14")
  generator = torch.Generator().manual_seed(2023)
  seen = torch.randint(256, (1, 3, 32, 32), dtype=torch.uint8, generator=generator)
  found, _ = extractor.function(seen.permute(0, 2, 3, 1).numpy())
  assert float(found.sum()) == pytest.approx(-34.62496, abs=1e-3)


def test_the_size_is_found_and_named(given):
  extractor = dinov2.make(given(arrays() | {"mask_token": np.zeros((1, 128), np.float32)}))
  assert extractor.about == {"network": "small"} and extractor.name == "dinov2"
  assert extractor.resize == "bicubic to 224 by Pillow"


def test_the_large_network_is_known_by_its_shapes(monkeypatch, tmp_path):
  large = {
    name: np.broadcast_to(np.float32(0), shape)
    for name, shape in dinov2.shapes(dinov2.SIZES[2]).items()
  }
  monkeypatch.setattr(tensors, "read", lambda path: large)
  (tmp_path / "a").touch()
  assert dinov2.make(tmp_path / "a").about == {"network": "ViT-L/14"}


WRONG = {
  "none": (lambda: {}, "cls_token is missing"),
  "registers": (lambda: arrays() | {"register_tokens": np.zeros(1)}, "register_tokens is unknown"),
  "width": (
    lambda: arrays() | {"cls_token": np.zeros((1, 1, 9))},
    "cls_token is [1, 1, 9] where [1, 1, 128] belongs",
  ),
  "NaN": (lambda: arrays() | {"norm.bias": np.full(128, np.nan)}, "norm.bias is not finite"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_other_weights_are_one_line_with_the_first_difference(given, kind):
  changed, words = WRONG[kind]
  with pytest.raises(UserError) as caught:
    dinov2.make(given(changed()))
  assert words in str(caught.value) and len(str(caught.value).splitlines()) == 1


def test_other_images_and_resizes_are_refused(given):
  path = given(arrays())
  with pytest.raises(UserError, match="'area' is unknown: choose from bicubic, bilinear"):
    dinov2.make(path, "area")
  with pytest.raises(UserError, match="grey or colour images of uint8"):
    dinov2.make(path).function(images(shape=(8, 8, 2)))


def test_nothing_is_compiled_before_there_are_images(given, monkeypatch):
  monkeypatch.setattr(jax, "devices", None)
  monkeypatch.setattr(jax, "default_backend", None)
  dinov2.make(given(arrays()))
