"""Checkpoints: what is saved comes back to the bit, and a damaged one is noticed and kept."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan.training.build import DataInfo, build
from gan.training.checkpoint import KEEP, Checkpoints
from gan.training.config import Config

CONFIG = Config(
  model="points",
  width=8,
  latent_dim=3,
  update_rule="lookahead",
  lecam_weight=0.1,
  augment_control="apa",
)


@pytest.fixture(scope="module")
def init():
  info = DataInfo(image_shape=(2,), num_classes=0, num_examples=50, pixel_mean=None)
  return jax.jit(build(CONFIG, info).init)


@pytest.fixture
def state(init):
  return init(jax.random.key(0))


@pytest.fixture
def like(init):
  return jax.eval_shape(init, jax.random.key(0))


@pytest.fixture
def checkpoints(tmp_path):
  opened = Checkpoints(tmp_path / "run" / "checkpoints")
  yield opened
  opened.close()


def leaves(state):
  return [np.asarray(leaf) for leaf in jax.tree.leaves(state)]


def assert_same_bits(first, second):
  assert jax.tree.structure(first) == jax.tree.structure(second)
  for one, other in zip(leaves(first), leaves(second), strict=True):
    assert one.dtype == other.dtype and one.shape == other.shape
    assert one.tobytes() == other.tobytes()


def numbered(state, step):
  """The state with a count that tells it from the others."""
  return state.replace(step=jnp.int32(step))


def save(checkpoints, state, *steps):
  for step in steps:
    checkpoints.save(step, numbered(state, step))
  checkpoints.wait()


def largest_file(folder):
  return max((path for path in folder.rglob("*") if path.is_file()), key=lambda p: p.stat().st_size)


def flip_a_bit(path):
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 1
  path.write_bytes(content)


def test_a_state_comes_back_with_its_types_and_its_bits(checkpoints, state, like):
  # Values that a text or a cast would change: NaN with a payload, -0, a subnormal, 1/3.
  odd = np.array([0x7FC00001, 0x80000000, 0x00000001, 0x3EAAAAAB], np.uint32).view(np.float32)
  params = jax.tree.map(jnp.array, state.generator.params)
  leaf = jax.tree.leaves(params)[0]
  changed = jnp.asarray(np.resize(odd, leaf.shape))
  params = jax.tree.unflatten(jax.tree.structure(params), [changed, *jax.tree.leaves(params)[1:]])
  state = state.replace(step=jnp.int32(7), generator=state.generator.replace(params=params))
  checkpoints.save(7, state)
  checkpoints.wait()
  ((step, restored, reason),) = checkpoints.restore(like)
  assert (step, reason) == (7, "")
  assert type(restored) is type(state) and "update_rule" in restored.aux_state
  assert_same_bits(restored, state)


def test_another_process_sees_what_was_saved(tmp_path, state, like):
  first = Checkpoints(tmp_path / "checkpoints")
  save(first, state, 3)
  first.close()
  second = Checkpoints(tmp_path / "checkpoints")
  try:
    assert second.steps() == [3]
    assert_same_bits(next(second.restore(like))[1], numbered(state, 3))
  finally:
    second.close()


def test_a_new_folder_has_nothing_to_restore(checkpoints, like):
  assert checkpoints.steps() == [] and list(checkpoints.restore(like)) == []


def test_the_newest_are_kept(checkpoints, state, like):
  steps = list(range(1, KEEP + 3))
  save(checkpoints, state, *steps)
  assert checkpoints.steps() == steps[-KEEP:]
  assert int(next(checkpoints.restore(like))[1].step) == steps[-1]


def test_a_step_that_is_there_is_left_alone(checkpoints, state, like):
  checkpoints.save(4, state)
  checkpoints.save(4, numbered(state, 99))
  checkpoints.wait()
  assert_same_bits(next(checkpoints.restore(like))[1], state)


def test_a_state_donated_right_after_save_is_saved_as_it_was(checkpoints, state, like):
  before = jax.tree.map(np.array, state)
  overwrite = jax.jit(lambda s: jax.tree.map(lambda x: x + 1, s), donate_argnums=0)
  checkpoints.save(1, state)
  jax.block_until_ready(overwrite(state))
  assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state))
  checkpoints.wait()
  assert_same_bits(next(checkpoints.restore(like))[1], before)


def cut_in_half(path):
  path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("damage", [flip_a_bit, cut_in_half, lambda path: path.unlink()])
def test_a_damaged_checkpoint_is_noticed_and_the_one_before_is_used(
  checkpoints, state, like, tmp_path, damage
):
  save(checkpoints, state, 1, 2)
  damage(largest_file(tmp_path / "run" / "checkpoints" / "2"))
  (step, nothing, reason), (good_step, good, _) = checkpoints.restore(like)
  assert (step, nothing) == (2, None) and reason and "\n" not in reason
  assert good_step == 1
  assert_same_bits(good, numbered(state, 1))


def test_a_damaged_checkpoint_is_moved_aside_and_not_lost(checkpoints, state, like, tmp_path):
  save(checkpoints, state, 1, 2)
  file = largest_file(tmp_path / "run" / "checkpoints" / "2")
  flip_a_bit(file)
  content = file.read_bytes()
  list(checkpoints.restore(like))
  aside = tmp_path / "run" / "damaged_checkpoints" / "2"
  assert largest_file(aside).read_bytes() == content
  assert checkpoints.steps() == [1]


def test_a_step_can_be_saved_again_and_damaged_again(checkpoints, state, like, tmp_path):
  save(checkpoints, state, 1)
  for _ in range(2):
    save(checkpoints, state, 2)
    assert checkpoints.steps() == [1, 2]
    flip_a_bit(largest_file(tmp_path / "run" / "checkpoints" / "2"))
    assert [step for step, found, _ in checkpoints.restore(like) if found is None] == [2]
  assert len(list((tmp_path / "run" / "damaged_checkpoints").iterdir())) == 2


def test_a_state_of_another_shape_is_not_taken_for_this_one(checkpoints, state):
  save(checkpoints, state, 1)
  other = build(
    Config(model="points", width=9, latent_dim=3), DataInfo((2,), 0, 50, pixel_mean=None)
  )
  like = jax.eval_shape(other.init, jax.random.key(0))
  assert [found for _, found, _ in checkpoints.restore(like)] == [None]
