"""Samples that leave a run, measured by torch-fidelity and by ours with one file of weights."""

import json

import numpy as np
import pytest
from PIL import Image
from weight_files import inception_state

from experiments import evaluate, images, sample

COUNT = 60
METRICS = "--metrics=frechet_distance,precision_recall"


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
  """Folders of PNG files: `real`, and `fake` as `experiments.sample` writes it."""
  folder = tmp_path_factory.mktemp("sets")
  rng = np.random.default_rng(0)
  pixels = rng.integers(256, size=(COUNT, 8, 8, 3), dtype=np.uint8).repeat(2, 1).repeat(2, 2)
  np.savez(folder / "real.npz", images=pixels)
  flags = (f"--data_dir={folder / 'real.npz'}", "--steps=2", "--batch_size=8")
  flags += ("--model=mlp", "--eval_every=0", "--parallel=none", f"--workdir={folder / 'run'}")
  assert images.main(["images", *flags]) == 0
  flags = (f"--workdir={folder / 'run'}", f"--outdir={folder}", f"--count={COUNT}", "--format=png")
  assert sample.main(["sample", *flags]) == 0
  return folder


def test_a_folder_of_samples_has_the_numbers_of_torch_fidelity(sets, optimized):
  torch = pytest.importorskip("torch", reason="PyTorch is in the extra bench")
  peer = pytest.importorskip("torch_fidelity", reason="torch-fidelity is in the extra bench")
  weights = sets / "random.pth"
  torch.save({name: torch.from_numpy(it) for name, it in inception_state().items()}, weights)
  (sets / "real").mkdir()
  for number, image in enumerate(np.load(sets / "real.npz")["images"]):
    Image.fromarray(image).save(sets / "real" / f"{number:03d}.png")
  theirs = peer.calculate_metrics(
    input1=str(sets / "samples"),
    input2=str(sets / "real"),
    fid=True,
    prc=True,
    feature_extractor="inception-v3-compat",
    feature_extractor_weights_path=str(weights),
    cuda=False,
    save_cpu_ram=True,  # no processes of its own
    cache=False,
    verbose=False,
  )
  flags = (f"--real={sets / 'real'}", f"--fake={sets / 'samples'}", f"--outdir={sets}", METRICS)
  assert evaluate.main(["evaluate", *flags, f"--extractor=inception:{weights}"]) == 0
  ours = json.loads((sets / "evaluation.json").read_text())["metrics"]
  pairs = {
    "frechet_distance": "frechet_inception_distance",
    "precision": "precision",
    "recall": "recall",
  }
  for name, their_name in pairs.items():
    assert ours[name]["value"] == pytest.approx(theirs[their_name], rel=1e-3, abs=1e-6), name
