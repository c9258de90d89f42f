"""How labels reach the players, by name: what each changes, and that it trains."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import kill_and_resume
import numpy as np
import pytest
import toys

import gan
from gan import datasets
from gan.models import MODELS, ModelSpec, build
from gan.regularizers import make_acgan
from gan.regularizers.acgan import cross_entropy
from gan.training import loop
from gan.training.build import build_game
from gan.training.config import Config
from gan.training.run_folder import read_config
from gan.training.setting import describe

SPEC = ModelSpec((8, 8, 1), 5, 3, width=2)
IMAGES = np.random.default_rng(0).uniform(-1, 1, (1, 4, 8, 8, 1)).astype(np.float32)
BATCH = gan.Batch(jnp.asarray(IMAGES), jnp.array([[0, 2, 1, 1]]))
# Tables of labels in the generator and in the discriminator, by rows.
TABLES = {"concat": (1, 1), "projection": (1, 1), "cbn+projection": (4, 1), "acgan": (4, 0)}


def game_of(conditioning, model="resnet", axis_name=(), **fields):
  players = build(model, SPEC._replace(conditioning=conditioning, axis_name=axis_name))
  terms = {"acgan": make_acgan()} if conditioning == "acgan" else {}
  return gan.Game(
    **players._asdict(), num_classes=3, regularizers=terms, axis_name=axis_name, **fields
  )


def test_every_conditioning_of_resnet_is_under_test():
  assert set(TABLES) == set(MODELS["resnet"].conditionings)


@pytest.mark.parametrize("conditioning", TABLES)
def test_labels_have_the_tables_of_the_conditioning(conditioning):
  players = build("resnet", SPEC._replace(conditioning=conditioning))
  found = []
  for network in players[:2]:
    leaves = jax.tree.leaves(jax.eval_shape(network.init, jax.random.key(0))[0])
    found.append(sum(leaf.ndim == 2 and leaf.shape[0] == 3 for leaf in leaves))
  assert tuple(found) == TABLES[conditioning]


@pytest.mark.parametrize("conditioning", TABLES)
def test_a_step_keeps_the_shapes_of_the_state(conditioning):
  game = game_of(conditioning)
  before = jax.eval_shape(game.init, jax.random.key(0))
  after, metrics = jax.eval_shape(game.step, before, BATCH, jax.random.key(1))
  assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, before)
  assert ("acgan_accuracy" in metrics) == (conditioning == "acgan")
  assert metrics.keys() <= gan.STEP_METRICS.keys()


@pytest.mark.parametrize("conditioning", ["projection", "acgan"])
def test_two_steps_are_made(conditioning):
  game = game_of(conditioning)
  state = jax.jit(game.init)(jax.random.key(0))
  step = jax.jit(game.step)
  for _ in range(2):
    state, metrics = step(state, BATCH, jax.random.key(1))
  assert all(np.isfinite(value) for value in metrics.values())


def test_conditional_norms_have_the_statistics_of_the_whole_batch():
  labels, latents = BATCH.label[0], jax.random.normal(jax.random.key(2), (4, 5))
  alone, shared = (
    build("resnet", SPEC._replace(conditioning="cbn+projection", axis_name=name)).generator
    for name in ((), "batch")
  )
  variables = alone.init(jax.random.key(0))

  def generate(network, latents, labels):
    return network.apply(*variables, latents, labels, train=True, key=jax.random.key(0))[0]

  halves = jax.shard_map(
    functools.partial(generate, shared),
    mesh=jax.make_mesh((2,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,)),
    in_specs=jax.P("batch"),
    out_specs=jax.P("batch"),
  )
  found = jax.jit(halves)(latents, labels)
  expected = jax.jit(functools.partial(generate, alone))(latents, labels)
  np.testing.assert_allclose(found, expected, atol=1e-5)


def test_cross_entropy_is_known_by_hand():
  # softmax of (0, log 3) is (1/4, 3/4).
  logits = jnp.array([[0.0, np.log(3.0)]] * 2)
  found = cross_entropy(logits, jnp.array([0, 1]))
  np.testing.assert_allclose(found, [np.log(4), np.log(4 / 3)], rtol=1e-6)


def view_of(real, fake):
  outputs = [gan.Outputs(jnp.zeros(2), logits) for logits in (real, fake)]
  nothing = dict.fromkeys(gan.regularizers.View._fields)
  return gan.regularizers.View(
    **nothing
    | {"real_outputs": outputs[0], "fake_outputs": outputs[1]}
    | {"labels": jnp.array([0, 1]), "fake_labels": jnp.array([1, 1])}
  )


@pytest.mark.parametrize(("fakes", "scale"), [(False, 0.1), (True, 1.0)])
def test_variants_of_the_class_loss(fakes, scale):
  real, fake = jnp.array([[0.0, 1.0], [2.0, 0.0]]), jnp.array([[0.5, 0.0], [1.0, -1.0]])
  term = make_acgan(acgan_fakes=fakes, acgan_generator_scale=scale)
  of_data, of_samples = (np.log1p(np.exp(np.array(gap))) for gap in ([1.0, 2.0], [0.5, 2.0]))
  value, metrics = term.discriminator(view_of(real, fake), {})
  np.testing.assert_allclose(value, of_data + fakes * of_samples, rtol=1e-5)
  assert metrics["acgan_accuracy"] == 0
  value, _ = term.generator(view_of(real, fake), {})
  np.testing.assert_allclose(value, scale * of_samples, rtol=1e-5)


@pytest.mark.parametrize(
  ("fake_labels", "shares"),
  [("uniform", [1 / 3, 1 / 3, 1 / 3]), (np.array([1, 0, 3]), [0.25, 0.0, 0.75])],
  ids=["uniform", "weights"],
)
def test_labels_of_fakes_are_drawn_apart_from_those_of_the_batch(fake_labels, shares):
  def look(view, state):
    counts = {f"look_{k}": jnp.mean(view.fake_labels == k) for k in range(3)}
    return jnp.zeros(()), counts | {"look_data": jnp.mean(view.labels)}

  players = build("points", ModelSpec((2,), 2, 3, width=2))
  game = gan.Game(
    **players._asdict(),
    num_classes=3,
    fake_labels=fake_labels,
    regularizers={"look": gan.Regularizer(discriminator=look)},
  )
  batch = gan.Batch(jnp.zeros((1, 3000, 2)), jnp.zeros((1, 3000), jnp.int32))
  _, metrics = jax.jit(game.step)(game.init(jax.random.key(0)), batch, jax.random.key(1))
  assert metrics["look_data"] == 0
  # Four standard deviations of a share of 3000 draws.
  for k, share in enumerate(shares):
    deviation = (share * (1 - share) / 3000) ** 0.5
    np.testing.assert_allclose(metrics[f"look_{k}"], share, atol=4 * deviation)


@pytest.mark.parametrize(
  "fake_labels", ["data", [1, 1], [1, 1, -1], [0, 0, 0], [1.0, 1.0, np.nan], [[1, 1, 1]], None]
)
def test_fake_labels_that_do_not_exist_are_refused(fake_labels):
  with pytest.raises(gan.UserError, match="choose from batch, uniform, or give 3 weights of"):
    game_of("concat", fake_labels=fake_labels)


OF_DATA = dataclasses.replace(
  toys.RING, conditional=True, fake_labels="data", eval_every=0, sample_every=2
)


def test_the_datas_labels_are_drawn_by_the_counts_of_the_training_set():
  labels = np.array([2, 0, 2, 2], np.int32)
  data = datasets.Dataset("mine", np.zeros((4, 2), np.float32), labels, 4, "an array")
  info = describe(OF_DATA, data)
  np.testing.assert_array_equal(info.class_counts, [1, 0, 3, 0])
  assert build_game(OF_DATA, info).fake_labels == (1, 0, 3, 0)
  assert describe(toys.RING, data._replace(labels=None)).class_counts is None


def test_a_run_with_the_datas_labels_records_them_and_goes_on_to_the_bit(tmp_path):
  for folder, steps in (("unbroken", 4), ("stopped", 2), ("stopped", 4)):
    loop.fit(dataclasses.replace(OF_DATA, steps=steps), tmp_path / folder, say=lambda line: None)
  record = read_config(tmp_path / "stopped")
  assert record["config"]["fake_labels"] == record["determining"]["fake_labels"] == "data"
  same = kill_and_resume.compare(tmp_path / "unbroken", tmp_path / "stopped")
  assert all(same.values()), same
  assert gan.load(tmp_path / "stopped").state.step == 4


def test_a_conditioning_implies_labels():
  assert Config(model="resnet", conditioning="projection").conditional
  assert not Config(model="resnet").conditional


def test_a_conditioning_that_a_model_lacks_is_refused():
  with pytest.raises(gan.UserError, match="`conditioning=native` is not one of `model=resnet`"):
    build("resnet", SPEC._replace(conditioning="native"))
