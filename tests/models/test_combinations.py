"""Losses, penalties, networks and what else a step is made of, with one another.

Quick: shapes of whole steps, by tracing alone. Slow: every pair of choices in a step that is made,
and what holds of a step on each network.
"""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from covering import allowed_pairs, covering, pairs_of
from test_models import LARGE, SPECS

from gan.losses import LOSSES, of_logits
from gan.method.game import Batch
from gan.method.update_rules import adversarial_rules
from gan.models import MODELS
from gan.penalties import PENALTIES
from gan.training import parallel
from gan.training.build import DataInfo, build, build_game, game_parts
from gan.training.checkpoint import Checkpoints
from gan.training.config import PRECISIONS, Config
from gan.training.validation import validate

CLASSES, EXAMPLES, BATCH = 5, 16, 4
UNCONDITIONAL = "none"
# firstgan_dcgan and tutorial_dcgan are dcgan's layers at 64 pixels, r3gan_small is r3gan by widths.
# The autoencoder is for losses of its residual, and not of logits.
NETWORKS = [name for name in MODELS if name not in (*LARGE, "r3gan_small", "autoencoder")]
# One for all divergences, whose pairs of functions of a logit the quick tests have.
OF_DIVERGENCES = [name for name in LOSSES if name.startswith("fgan_")]
FACTORS = {
  "model": NETWORKS,
  "conditioning": [
    UNCONDITIONAL,
    *dict.fromkeys(way for name in NETWORKS for way in MODELS[name].conditionings),
  ],
  "packing": [1, 2],
  "loss": [name for name in of_logits() if name not in OF_DIVERGENCES] + ["fgan"],
  "penalty": list(PENALTIES),
  "update_rule": adversarial_rules(),
  "precision": list(PRECISIONS),
}


def may_be(row):
  """Whether a part of a row may be: labels have a way into the network, and rows no label."""
  way = row.get("conditioning", UNCONDITIONAL)
  if way == UNCONDITIONAL:
    return True
  return way in MODELS[row["model"]].conditionings if "model" in row else row.get("packing", 1) == 1


def allowed(row):
  return all(may_be(dict(pair)) for pair in itertools.combinations(row.items(), 2))


def rows():
  """Those of the covering set, with one divergence after the other."""
  divergences = itertools.cycle(OF_DIVERGENCES)
  return [
    row | {"loss": next(divergences)} if row["loss"] == "fgan" else row
    for row in covering(FACTORS, allowed)
  ]


def config_of(row):
  row = dict(row)
  way = row.pop("conditioning", UNCONDITIONAL)
  if way != UNCONDITIONAL:
    row["conditioning"] = way
  if way == "acgan":
    row["regularizers"] = "acgan"
  if row.get("update_rule") == "unrolled":
    row["unrolled_steps"] = 1  # each is compiled apart
  spec = SPECS[row["model"]]
  sizes = {"width": spec.width, "latent_dim": spec.latent_dim, "batch_size": BATCH}
  return Config(**sizes, **row)


def info_of(config):
  shape = SPECS[config.model].image_shape
  mean = np.full(shape, 0.5) if len(shape) == 3 else None
  return DataInfo(shape, CLASSES, EXAMPLES, mean)


def data_of(config, count=EXAMPLES):
  rng, shape = np.random.default_rng(0), SPECS[config.model].image_shape
  labels = (np.arange(count) % CLASSES).astype(np.int32) if config.conditional else None
  if len(shape) == 1:
    return Batch(rng.standard_normal((count, *shape), np.float32), labels)
  return Batch(rng.integers(0, 256, (count, *shape), np.uint8), labels)


def batch_of(config):
  data = data_of(config, BATCH)
  return jax.tree.map(lambda array: jnp.asarray(array)[None], data)


# The covering set.


@pytest.mark.parametrize(
  "factors", [{"a": [0, 1, 2], "b": [0, 1, 2], "c": [0, 1], "d": [0, 1, 2, 3]}, FACTORS]
)
def test_a_covering_set_has_every_pair_that_may_be_and_no_other(factors):
  fits = allowed if factors is FACTORS else lambda row: row.get("a") != 0 or row.get("c") != 1
  rows = covering(factors, fits)
  held = set().union(*map(pairs_of, rows))
  assert held == set(allowed_pairs(factors, fits))
  assert all(fits(row) and list(row) == list(factors) for row in rows)
  assert rows == covering(factors, fits)
  # No fewer than the two factors with most values ask for, and not many more.
  *_, second, first = sorted(len(values) for values in factors.values())
  assert first * second <= len(rows) <= 1.5 * first * second


def test_what_may_not_be_is_left_out():
  assert not allowed({"model": "mlp", "conditioning": "acgan"})
  assert not allowed({"conditioning": "concat", "packing": 2})


# Shapes of whole steps.


@functools.cache
def traced(name):
  """(game, state, batch, key) of a network whose players are traced once for all games."""

  def once(network):
    return network._replace(apply=jax.jit(network.apply, static_argnames=("train", "method")))

  config = config_of({"model": name})
  game = build_game(config, info_of(config))
  game = dataclasses.replace(
    game, generator=once(game.generator), discriminator=once(game.discriminator)
  )
  key = jax.eval_shape(lambda: jax.random.key(0))
  batch = jax.eval_shape(lambda: batch_of(config))
  return config, game, jax.eval_shape(game.init, key), batch, key


def assert_a_step_keeps_shapes(name, loss, penalty):
  config, game, state, batch, key = traced(name)
  parts = game_parts(dataclasses.replace(config, loss=loss, penalty=penalty))
  after, metrics = jax.eval_shape(dataclasses.replace(game, **parts).step, state, batch, key)
  of = functools.partial(jax.tree.map, lambda leaf: (leaf.shape, leaf.dtype))
  assert of(after) == of(state)
  assert ("penalty" in metrics) == (penalty != "none")
  assert {(metric.shape, metric.dtype.name) for metric in metrics.values()} == {((), "float32")}


@pytest.mark.parametrize("loss", of_logits())
def test_every_loss_steps_with_every_penalty(loss):
  for penalty in PENALTIES:
    assert_a_step_keeps_shapes("points", loss, penalty)


@pytest.mark.parametrize("name", [name for name in MODELS if name != "points"])
def test_every_network_steps_with_half_of_the_losses_and_with_penalties(name):
  shift = list(MODELS).index(name)  # so that networks have other pairs
  losses = [name for name in of_logits() if name not in OF_DIVERGENCES]
  losses.append(OF_DIVERGENCES[shift % len(OF_DIVERGENCES)])
  for place, loss in list(enumerate(losses))[shift % 2 :: 2]:
    penalty = list(PENALTIES)[(place + shift) % len(PENALTIES)]
    assert_a_step_keeps_shapes(name, loss, penalty)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_every_network_steps_with_every_loss_and_penalty(name):
  for loss, penalty in itertools.product(of_logits(), PENALTIES):
    assert_a_step_keeps_shapes(name, loss, penalty)


# Steps that are made.


def words(row):
  return "-".join(map(str, row.values()))


@pytest.mark.slow
@pytest.mark.parametrize("row", rows(), ids=words)
def test_two_steps_are_made_of_every_pair_of_choices(row):
  config = config_of(row)
  validate(config)
  algorithm = build(config, info_of(config))
  state = jax.jit(algorithm.init)(jax.random.key(0))
  step, before = jax.jit(algorithm.step), jax.device_get(state)
  for _ in range(2):
    state, metrics = step(state, batch_of(config), jax.random.key(1))
  assert int(state.step) == 2
  assert {name: float(value) for name, value in metrics.items() if not np.isfinite(value)} == {}
  for player in ("generator", "discriminator"):
    there, here = (getattr(each, player).params for each in (before, state))
    assert not all(jax.tree.leaves(jax.tree.map(np.array_equal, there, here)))
    for leaf in jax.tree.leaves(here):
      assert leaf.dtype == jnp.float32 and np.all(np.isfinite(leaf))


# What holds of a step on each network, by plain gradient descent: Adam divides by the size of a
# gradient, and makes a whole step of the rounding of one that is 0.
DESCENT = {"optimizer": "sgd", "generator_learning_rate": 0.01, "discriminator_learning_rate": 0.01}
GAMES = [
  *({"model": name, "conditioning": way} for name in MODELS for way in MODELS[name].conditionings),
  *({"model": name, "packing": 2} for name in MODELS if name not in LARGE),
  *({"model": name, "precision": "bfloat16"} for name in MODELS if name not in LARGE),
]
# Their masks differ between devices that have a part of the batch each: equal in distribution.
OF_MASKS = ("mlp", "goodfellow")
# What makes a network the same over parts of a batch: a group whose standard deviation StyleGAN2's
# D sees is of one device's examples, and there are others in it where the batch is whole.
OVER_PARTS = {"stylegan2": {"options": "deviation_group=1"}}


@functools.lru_cache(maxsize=1)
def init_of(config):
  """`key -> state`, the same of every strategy, compiled once for all of them."""
  return jax.jit(build(config, info_of(config)).init)


def run_of(config, way):
  """(state, run, data, key) of a strategy on two devices."""
  devices = jax.local_devices()[:2]
  algorithm = build(config, info_of(config), parallel.STRATEGIES[way][1])
  state = init_of(config)(jax.random.key(0))
  run = parallel.make_run(algorithm.step, way, devices)
  placed = (parallel.replicate(tree, way, devices) for tree in (state, data_of(config)))
  state, data = placed
  return state, lambda state, indices: run(state, data, indices, jax.random.key(1))


def params_of(state):
  """Those of both players; the strengths of noise, 0 at first, learn of planes that differ between
  devices as masks do."""
  params = state.generator.params, state.discriminator.params
  return jax.tree_util.tree_map_with_path(
    lambda path, leaf: 0 * leaf if path[-1] == jax.tree_util.DictKey("strength") else leaf, params
  )


INDICES = np.arange(2 * BATCH, dtype=np.int32).reshape(2, 1, 1, BATCH)  # of two steps


def ends(config, way):
  """Parameters of both players after a step, and what they were."""
  state, run = run_of(config, way)
  before = jax.device_get(params_of(state))
  state, _ = run(state, INDICES[0])
  return before, jax.device_get(params_of(state))


def member(config):
  """The same as `ends` of the first of two runs that are stepped together."""
  algorithm = build(config, info_of(config))
  run = parallel.make_group_run(algorithm.step, jax.local_devices()[:1])
  states = [init_of(config)(jax.random.key(seed)) for seed in (0, 5)]
  states = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
  indices = np.stack([INDICES[0], INDICES[1]])
  keys = jnp.stack([jax.random.key(1), jax.random.key(2)])
  states, _ = run(states, jax.tree.map(jnp.asarray, data_of(config)), indices, keys)
  return jax.tree.map(lambda leaf: jax.device_get(leaf)[0], params_of(states))


# How far a tensor may be off, as a share of its own longest step, and of its player's longest: a
# sum in another order rounds otherwise. The second is for tensors whose gradient is 0 but for the
# rounding of terms as large as others' (a bias before batch normalisation, D's last one in a
# relativistic loss). In float32 at most 6e-6 and 5e-6 were seen. In bfloat16, of a batch of four,
# 0.6 and 0.05: both of infogan, with batch normalisation in both players, whose step is further
# than that from the one in float32.
BOUNDS = {"float32": (1e-4, 2e-5), "bfloat16": (0.6, 0.1)}


# Networks whose step a rounding moves by more than BOUNDS, where units lie so near to the kink of a
# ReLU that they take its other side. Theirs is twice the farthest of three moves by parameters that
# are off by up to ROUNDINGS, and below a tenth of the longest step.
SENSITIVE = ("infogan", "sagan", "tutorial_dcgan")
ROUNDINGS = 8


def sensitivity(config):
  """The farthest that a tensor is moved by ROUNDINGS, as a share of its player's longest step."""
  init, moves = init_of(config), []
  before, expected = ends(config, "none")
  for seed in range(3):
    with pytest.MonkeyPatch.context() as patch:
      patch.setitem(globals(), "init_of", lambda _, seed=seed: nudged(init, seed))
      was, found = ends(config, "none")
    for here, there in zip(
      zip(was, found, strict=True), zip(before, expected, strict=True), strict=True
    ):
      steps = [jax.tree.leaves(jax.tree.map(np.subtract, *pair[::-1])) for pair in (here, there)]
      longest = max(np.abs(step).max() for step in steps[1])
      moves += [np.abs(a - b).max() / longest for a, b in zip(*steps, strict=True)]
  return 2 * max(moves)


def nudged(init, seed):
  """`init` with parameters that are off by up to ROUNDINGS."""
  rng = np.random.default_rng(seed)

  def moved(leaf):
    off = rng.integers(-ROUNDINGS, ROUNDINGS, leaf.shape, endpoint=True)
    return leaf * (1 + jnp.finfo(leaf.dtype).eps * off.astype(leaf.dtype))

  def initial(key):
    state = init(key)
    players = {
      name: player.replace(params=jax.tree.map(moved, player.params))
      for name, player in (("generator", state.generator), ("discriminator", state.discriminator))
    }
    return state.replace(**players)

  return initial


def assert_same_step(before, expected, found, precision="float32", sensitive=0.0):
  """Each tensor is where it was expected, within BOUNDS and two roundings of its own values.

  Steps of a network that is SENSITIVE may be off by a further share of their longest.
  """
  of_own, of_player = BOUNDS[precision]
  of_player += sensitive
  for was, wanted, got in zip(before, expected, found, strict=True):
    steps = jax.tree.map(lambda a, b: np.abs(a - b).max(), wanted, was)
    longest = max(jax.tree.leaves(steps))
    assert longest > 0
    for (path, step), there, here in zip(
      jax.tree.leaves_with_path(steps), *map(jax.tree.leaves, (wanted, got)), strict=True
    ):
      bound = of_own * step + of_player * longest
      np.testing.assert_allclose(
        here, there, rtol=2**-22, atol=bound, err_msg=jax.tree_util.keystr(path)
      )


def slow_unless_of_points(game):
  """All but one network, without packing and in float32, take long to compile."""
  quick = game["model"] == "points" and not {"packing", "precision"} & game.keys()
  return pytest.param(game, marks=[] if quick else pytest.mark.slow, id=words(game))


@pytest.mark.parametrize("game", [slow_unless_of_points(game) for game in GAMES])
def test_devices_and_groups_of_runs_do_not_matter(game):
  regular = {"loss": "ragan", "penalty": "r1"}  # a loss over the whole batch
  config = dataclasses.replace(config_of(game | regular), **DESCENT)
  before, expected = ends(config, "none")
  named = config.model in SENSITIVE and config.precision == "float32"
  allowed = {"precision": config.precision, "sensitive": sensitivity(config) if named else 0.0}
  assert allowed["sensitive"] < 0.1
  if "conditioning" in game:  # the program of one device, parted by the compiler
    assert_same_step(before, expected, ends(config, "jit")[1], **allowed)
  assert_same_step(before, expected, member(config), **allowed)
  if config.model in OF_MASKS:
    return
  if config.model in OVER_PARTS:
    config = dataclasses.replace(config, **OVER_PARTS[config.model])
    before, expected = ends(config, "none")
  assert_same_step(before, expected, ends(config, "shard_map")[1], **allowed)


@pytest.mark.parametrize(
  "game",
  [
    slow_unless_of_points({"model": name} | more)
    for name in MODELS
    for more in ({}, {"packing": 2, "precision": "bfloat16"})
  ],
)
def test_a_run_goes_on_from_a_checkpoint_to_the_bit(game, tmp_path):
  config = config_of(game | {"penalty": "r1"})
  state, run = run_of(config, "none")
  state, _ = run(state, INDICES[0])
  like = jax.eval_shape(lambda: state)
  checkpoints = Checkpoints(tmp_path)
  checkpoints.save(1, state)
  checkpoints.wait()
  unbroken, _ = run(state, INDICES[1])
  ((_, restored, _),) = checkpoints.restore(like)
  checkpoints.close()
  resumed, _ = run(restored, INDICES[1])
  jax.tree.map(np.testing.assert_array_equal, *map(jax.device_get, (resumed, unbroken)))
