"""The Inception of the FID: its shapes, its pools, its folding, and its peer in torch-fidelity."""

import hashlib
import math
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from weight_files import inception_state as arrays

from gan import datasets
from gan.errors import UserError
from gan.metrics.classifier_score import classifier_score
from gan.metrics.extractors import inception, inception_blocks
from gan.metrics.extractors.inception_blocks import Conv
from gan.metrics.frechet import frechet_distance
from gan.metrics.precision_recall import precision_recall
from gan.system import tensors

SHAPES = inception.shapes()
STATISTICS = ("running_mean", "running_var")
NAMES = ("64", "192", "768", "2048", "logits_unbiased", "logits")


def images(count=2, shape=(32, 32, 3), seed=0):
  return np.random.default_rng(seed).integers(256, size=(count, *shape), dtype=np.uint8)


@pytest.fixture
def given(monkeypatch, tmp_path):
  """Gives `make` arrays as if they were read from a file."""

  def give(changed):
    monkeypatch.setattr(tensors, "read", lambda path: changed)
    (tmp_path / "file.pth").write_bytes(b"weights")
    return tmp_path / "file.pth"

  return give


# What it is made of.


def test_parameters_and_arrays_are_as_many_as_published():
  convs = [conv for conv, _ in inception_blocks.convs(inception.ALL, 3)]
  assert len(convs) == 94 and len(SHAPES) + len(convs) == 566
  counts = {name: math.prod(shape) for name, shape in SHAPES.items()}
  learned = [count for name, count in counts.items() if not name.endswith(STATISTICS)]
  assert sum(learned) == 23_850_960 and sum(counts.values()) == 23_885_392
  assert sum(counts[f"{conv.name}.conv.weight"] for conv in convs) == 21_751_136
  assert sum(2 * conv.features for conv in convs) == 34_432


@pytest.mark.parametrize(
  "name, shape",
  [
    ("Conv2d_1a_3x3", (32, 3, 3, 3)),
    ("Mixed_5b.branch_pool", (32, 192, 1, 1)),
    ("Mixed_5d.branch5x5_2", (64, 48, 5, 5)),
    ("Mixed_6a.branch3x3", (384, 288, 3, 3)),
    ("Mixed_6b.branch7x7_2", (128, 128, 1, 7)),
    ("Mixed_6e.branch7x7dbl_2", (192, 192, 7, 1)),
    ("Mixed_7a.branch3x3_2", (320, 192, 3, 3)),
    ("Mixed_7b.branch1x1", (320, 1280, 1, 1)),
    ("Mixed_7c.branch3x3dbl_3b", (384, 384, 3, 1)),
  ],
)
def test_a_convolution_has_the_shape_of_its_name(name, shape):
  assert SHAPES[f"{name}.conv.weight"] == shape
  assert SHAPES[f"{name}.bn.running_var"] == shape[:1]


def test_stages_have_the_published_shapes():
  params = jax.eval_shape(lambda: jax.tree.map(jnp.asarray, inception.fold(arrays())))
  hidden, found = jax.ShapeDtypeStruct((2, 299, 299, 3), jnp.float32), []
  for step in [step for stage in inception.ALL for step in stage]:
    hidden = jax.eval_shape(
      lambda params, x, step=step: inception.run(params, step, x), params, hidden
    )
    found.append((hidden.shape[1], hidden.shape[3]))
  first = [(149, 32), (147, 32), (147, 64), (73, 64), (73, 80), (71, 192), (35, 192)]
  blocks = [(35, 256), (35, 288), (35, 288), *[(17, 768)] * 5, (8, 1280), (8, 2048), (8, 2048)]
  assert found == first + blocks


def test_branches_are_joined_in_the_published_order():
  """Without kernels a branch shows the bias of its last convolution, a pool what it sees."""
  step = inception_blocks.STAGES["768"][3]  # B
  params = {
    conv.name: (
      jnp.zeros((*conv.kernel, seen, conv.features)),
      jnp.full(conv.features, place + 1.0),
    )
    for place, (conv, seen) in enumerate(inception_blocks.convs(step, 288))
  }
  found = inception.run(params, step, jnp.full((1, 35, 35, 288), 9.0))
  expected = np.repeat([1.0, 4.0, 9.0], [384, 96, 288])
  np.testing.assert_array_equal(found[0, 8, 8], expected)


# Pools, by hand.

SQUARE = np.arange(1.0, 10, dtype=np.float32).reshape(1, 3, 3, 1)


def test_average_pools_leave_padding_out():
  found = inception_blocks.average_pool(jnp.asarray(SQUARE))[0, :, :, 0]
  means = [[(1 + 2 + 4 + 5) / 4, 21 / 6, 4], [27 / 6, 45 / 9, 33 / 6], [6, 39 / 6, 7]]
  np.testing.assert_allclose(found, means, rtol=1e-6)
  np.testing.assert_allclose(inception_blocks.average_pool(jnp.ones((1, 17, 1, 2))), 1)


def test_the_last_pool_is_a_maximum_of_what_is_there():
  found = inception_blocks.same_max_pool(jnp.asarray(-SQUARE))[0, :, :, 0]
  np.testing.assert_array_equal(found, [[-1, -1, -2], [-1, -1, -2], [-4, -4, -5]])


def test_max_pools_take_whole_windows():
  rows = np.arange(36, dtype=np.float32).reshape(1, 6, 6, 1)
  found = inception_blocks.max_pool(jnp.asarray(rows))[0, :, :, 0]
  np.testing.assert_array_equal(found, [[14, 16], [26, 28]])


@pytest.mark.parametrize("name", ["Mixed_7b", "Mixed_7c"])
def test_only_the_last_block_has_a_maximum(name):
  block = inception_blocks.STAGES["2048"][["Mixed_7a", "Mixed_7b", "Mixed_7c"].index(name)]
  pool = inception_blocks.same_max_pool if name == "Mixed_7c" else inception_blocks.average_pool
  assert block[-1][0] is pool and block[-1][1] == Conv(f"{name}.branch_pool", 192)


# Batch normalisation.


def test_folding_is_the_convolution_and_then_the_normalisation():
  name, hidden = "Mixed_5b.branch5x5_2", np.random.default_rng(1).normal(size=(2, 4, 4, 48))
  state = {part: arrays()[f"{name}.bn.{part}"] for part in ("weight", "bias", *STATISTICS)}
  kernel = arrays()[f"{name}.conv.weight"].transpose(2, 3, 1, 0)
  hidden = jnp.asarray(hidden, jnp.float32)
  layout = ("NHWC", "HWIO", "NHWC")
  plain = jax.lax.conv_general_dilated(hidden, kernel, (1, 1), "SAME", dimension_numbers=layout)
  normal = (np.asarray(plain) - state["running_mean"]) / np.sqrt(state["running_var"] + 1e-3)
  expected = np.maximum(normal * state["weight"] + state["bias"], 0)
  found = inception.run(inception.fold(arrays()), Conv(name, 64, (5, 5)), hidden)
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


# The extractor.


def test_a_grey_image_is_seen_three_times_and_logits_have_no_bias(given, optimized):
  extractor = inception.make(given(arrays()))
  grey = images(shape=(28, 28, 1))
  features, logits = extractor.function(grey)
  assert features.shape == (2, 2048) and logits.shape == (2, 1008)
  again, _ = extractor.function(jnp.asarray(np.repeat(grey, 3, axis=-1)))
  np.testing.assert_allclose(features, again, rtol=1e-5, atol=1e-5)
  np.testing.assert_allclose(logits, features @ arrays()["fc.weight"].T, rtol=1e-3, atol=1e-3)


def test_it_is_named_by_the_digest_of_its_file(given):
  path = given(arrays())
  extractor = inception.make(path)
  assert extractor.digest == hashlib.sha256(b"weights").hexdigest()[:12]
  assert extractor.image_shape is None and extractor.dataset is None
  assert extractor.about == {"features": "2048", "of_record": False}


def test_the_weights_of_record_are_known_by_their_digest(given, monkeypatch):
  monkeypatch.setattr(tensors, "digest", lambda path: "6726825d0000")
  assert inception.make(given(arrays())).about["of_record"]


def test_files_with_and_without_counts_of_batches_are_one(given):
  with_counts = arrays() | {
    name.replace("running_var", "num_batches_tracked"): np.array(0)
    for name in SHAPES
    if name.endswith("running_var")
  }
  assert len(with_counts) == 566
  assert inception.make(given(with_counts)).name == "inception"


def without(name):
  return {key: array for key, array in arrays().items() if key != name}


FC, BN = "fc.bias", "Mixed_6c.branch1x1.bn."
WRONG = {
  "missing": (lambda: without(FC), "fc.bias is missing"),
  "unknown": (lambda: arrays() | {"AuxLogits.fc.bias": np.zeros(1)}, "AuxLogits.fc.bias is unk"),
  "shape": (lambda: arrays() | {FC: np.zeros(1000)}, "fc.bias is [1000] where [1008] belongs"),
  "integers": (lambda: arrays() | {FC: np.zeros(1008, int)}, "fc.bias holds no floating-point"),
  "NaN": (lambda: arrays() | {FC: np.full(1008, np.nan)}, "fc.bias is not finite"),
  "too large": (lambda: arrays() | {FC: np.full(1008, 1e300)}, "fc.bias is not finite"),
  "variance": (lambda: arrays() | {BN + "running_var": np.full(192, -1.0)}, "var is below 0"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_other_weights_are_one_line_with_the_first_difference(given, kind):
  changed, words = WRONG[kind]
  with pytest.raises(UserError) as caught:
    inception.make(given(changed()))
  message = str(caught.value)
  assert words in message and inception.FILE in message and len(message.splitlines()) == 1


def test_other_images_and_layers_are_refused(given):
  path = given(arrays())
  with pytest.raises(UserError, match="'1024' is unknown: choose from 192, 2048, 64, 768"):
    inception.make(path, "1024")
  for wrong in (images(shape=(8, 8, 2)), images().astype(np.float32), images()[0]):
    with pytest.raises(UserError, match="grey or colour images of uint8"):
      inception.make(path).function(wrong)


# Against others.


def test_features_and_logits_are_those_of_torch_fidelity(tmp_path, optimized):
  torch = pytest.importorskip("torch", reason="PyTorch is in the extra bench")
  peer = pytest.importorskip(
    "torch_fidelity.feature_extractor_inceptionv3", reason="torch-fidelity is in the extra bench"
  )
  state = {name: torch.from_numpy(array) for name, array in arrays().items()}
  trackers = [name for name in SHAPES if name.endswith("running_var")]
  state |= {
    name.replace("running_var", "num_batches_tracked"): torch.tensor(0) for name in trackers
  }
  torch.save(state, tmp_path / "a.pth")
  theirs = peer.FeatureExtractorInceptionV3("inception", list(NAMES), str(tmp_path / "a.pth"))
  given = images(4)
  expected = theirs(torch.from_numpy(given.transpose(0, 3, 1, 2).copy()))
  params = inception.fold(tensors.read(tmp_path / "a.pth"))
  found = jax.jit(inception.outputs)(params, given)
  for name, features in zip(NAMES, expected, strict=True):
    largest = float(features.abs().max())
    np.testing.assert_allclose(found[name], features, rtol=1e-4, atol=1e-5 * largest, err_msg=name)


@pytest.mark.slow
def test_numbers_of_cifar10_are_those_of_record(data_root):
  """Of torch-fidelity's own tests, whose FID is that of TensorFlow to 1e-5."""
  if not (path := os.environ.get("GAN_INCEPTION")):
    pytest.skip("GAN_INCEPTION names no file of weights")
  extractor = inception.make(path)
  if not extractor.about["of_record"]:
    pytest.skip(f"GAN_INCEPTION is {extractor.digest}, not the weights of record")
  (train, logits), (test, _) = (seen(extractor, split) for split in ("train", "test"))
  assert frechet_distance(test, train) == pytest.approx(10.32333, abs=1e-2)
  assert precision_recall(test, train, k=3) == pytest.approx((0.6852, 0.6908), abs=2e-3)
  # Theirs is of images in an order of their own, which moves the mean of ten splits.
  mean, _ = classifier_score(np.asarray(jax.nn.softmax(logits)))
  assert mean == pytest.approx(10.75, abs=0.2)


def seen(extractor, split):
  chosen = datasets.load("cifar10", split).images[:5000]
  parts = [extractor.function(chosen[at : at + 50]) for at in range(0, 5000, 50)]
  return [np.concatenate(part) for part in zip(*jax.device_get(parts), strict=True)]
