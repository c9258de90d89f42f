"""The animation of a run: that it is the same run, and what it refuses."""

import jax
import numpy as np
import pytest
from PIL import Image

from experiments import ring
from gan.losses import of_logits
from gan.training import animation, loop, restore, sampling
from gan.training.config import Config
from gan.training.run import Keys
from gan.training.setting import load_data

SMALL = Config(
  dataset="ring", model="points", width=8, latent_dim=4, batch_size=16, steps=4, eval_every=0
)


def film(config, frames=2):
  dataset, config = load_data(config, None, print)
  return animation.film(loop.make_setting(config, dataset, (), print), config, frames)


@pytest.mark.parametrize("frames", [2, 3])
def test_last_snapshot_is_what_training_ends_with(tmp_path, frames):
  found = film(SMALL, frames)
  loop.fit(SMALL, tmp_path, say=print)
  run = restore.load(tmp_path)
  keys = Keys(*jax.random.split(jax.random.key(SMALL.seed), 3))
  what = sampling.square(run.gan, keys.latents, 0, count=1024)
  expected = np.asarray(sampling.draw(run.gan, run.state, what.latents, None))
  np.testing.assert_allclose(found.fake[-1], expected, atol=1e-5)
  levels = sampling.level_sets(run.gan, run.state, found.limit)
  np.testing.assert_allclose(found.levels[-1], levels, atol=1e-5)
  assert np.abs(found.fake[-1] - found.fake[0]).max() > 1e-4


def test_snapshots_stand_where_they_say():
  found = film(SMALL, frames=3)  # 4 steps in 3 frames: the first has the one more
  assert found.steps == [0, 2, 3, 4]
  assert found.fake.shape == (4, 1024, 2) and found.levels.shape == (4, 121, 121)


# One of each module of losses; the others are slow, together.
QUICK = ("nonsat", "lsgan", "hinge", "wgan", "ragan", "fgan_js")


@pytest.mark.parametrize(
  "loss",
  [pytest.param(loss, marks=[] if loss in QUICK else pytest.mark.slow) for loss in of_logits()],
)
def test_every_loss(loss):
  found = film(Config(**{**SMALL.__dict__, "loss": loss}))
  assert np.isfinite(found.fake).all()
  assert ((found.levels >= 0) & (found.levels <= 1)).all()


def test_flag_writes_a_gif(tmp_path):
  flags = ["--animate", "--steps=2", "--width=8", "--batch_size=16", f"--workdir={tmp_path}"]
  assert ring.main(["ring", *flags]) == 0
  with Image.open(tmp_path / "animation.gif") as picture:
    assert picture.n_frames == 3 and picture.format == "GIF"


def test_images_are_refused_before_training(tmp_path, capsys):
  flags = ["--animate", "--dataset=digits", "--model=mlp", f"--workdir={tmp_path / 'run'}"]
  assert ring.main(["ring", *flags]) == 2
  assert (
    "--animate draws points, and digits has images: use ring or grid" in capsys.readouterr().err
  )
  assert not (tmp_path / "run").exists()
