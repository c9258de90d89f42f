"""Run folders as sweeps leave them, written in a moment: smooth curves and a little noise."""

import json
import math

import numpy as np
from PIL import Image

from gan.training.run_folder import RunFolder, writable_folder, write_json

FIELDS = {
  "dataset": "digits",
  "data_sha256": "d1",
  "split": "train",
  "image_size": None,
  "model": "mlp",
  "generator_learning_rate": 2e-4,
  "real_label": 1.0,
  "discriminator_steps": 1,
  "batch_size": 64,
  "eval_samples": 500,
}
ENVIRONMENT = {
  "python": "3.11.0",
  "packages": {"jax": "0.10.2", "numpy": "2.4.6"},
  "platform": "Linux",
  "processor": "2 x CPU",
  "backend": "cpu",
  "devices": ["cpu:0"],
  "git_commit": "c0ffee",
}


def write_run(
  folder,
  loss="nonsat",
  seed=0,
  *,
  level=1.0,
  values=None,
  steps=40,
  every=10,
  status="finished",
  pictures=True,
  config_steps=None,
  **fields,
):
  """Writes one run.

  Args:
    folder: the run folder.
    loss: its loss.
    seed: its seed.
    level: where its curves of no given values end.
    values: {metric: [value of each evaluation]}, or None for falling Frechet distances.
    steps: how far it came.
    every: steps between evaluations.
    status: as in summary.json; None writes no summary.
    pictures: whether there are samples.
    config_steps: the steps of its config, None for none.
    **fields: of the config, other than FIELDS.
  """
  run = RunFolder(folder)
  config = FIELDS | {"loss": loss, "seed": seed} | fields
  command = f"python -m experiments.mnist --loss={loss} --seed={seed}"
  facts = {"command": command, "source": "bundled", "num_examples": 1500}
  steps_to_make = {} if config_steps is None else {"steps": config_steps}
  run.claim({"config": config | steps_to_make, "determining": config, **facts})
  run.close()
  run.add_environment(ENVIRONMENT)
  rng = np.random.default_rng([seed, *loss.encode()])
  for step in range(2, steps + 1, 2):
    run.append(_counts(step, loss) | _training(step / steps, level, rng))
  for i, step in enumerate(range(every, steps + 1, every)):
    scores = _scores(step / steps, level, rng) if values is None else _at(values, i)
    if scores:
      run.append(_counts(step, loss) | _facts(config) | scores, "evaluations.jsonl")
  if pictures:
    _save_picture(run.samples / f"step_{steps:08d}.png", rng)
  if status:
    run.summarize(status, step=steps)


def _counts(step, loss):
  counts = {"step": step, "discriminator_steps": step, "images": 64 * step}
  return counts | {"epoch": step / 20, "seconds": step / 7, "dataset": "digits", "loss": loss}


def _facts(config):
  facts = {"eval_samples": config["eval_samples"], "reference_samples": 500}
  return facts | {"extractor": "6719f55dfab5", "split": "train", "eval_seed": config["seed"]}


def _scores(done, level, rng):
  distance = (level + 40 * math.exp(-6 * done)) * math.exp(0.1 * rng.normal())
  return {"frechet_distance": distance, "coverage": 1 / (1 + distance / 10)}


def _at(values, i):
  return {name: found[i] for name, found in values.items() if i < len(found)}


def _training(done, level, rng):
  certain = 0.5 + 0.4 * math.exp(-3 * done) + 0.02 * rng.normal()
  return {
    "discriminator_loss": 1.386 - 0.5 * certain + 0.05 * rng.normal(),
    "generator_loss": 1.0,
    "real_probability": certain,
    "fake_probability": 1 - certain,
    "generator_gradient_norm": level * math.exp(-5 * done + 0.3 * rng.normal()),
  }


def _save_picture(path, rng):
  Image.fromarray(rng.integers(256, size=(60, 60), dtype=np.uint8)).save(path)


def write_sweep(folder, losses=("nonsat", "sat"), seeds=3, waiting=(), **options):
  """Writes a sweep of losses and seeds.

  Args:
    folder: of the sweep.
    losses: their names; the later, the better it ends.
    seeds: how many.
    waiting: names of runs that have not begun.
    **options: of every run.
  """
  runs = []
  for place, loss in enumerate(losses):
    for seed in range(seeds):
      name = f"{loss}-seed={seed}"
      level = 3.0 * (len(losses) - place)
      write_run(folder / "members" / name, loss, seed, level=level, **options)
      runs.append({"name": name, "varied": {"loss": loss, "seed": seed}})
  runs += [{"name": name, "varied": {}} for name in waiting]
  command = f"python -m experiments.sweep --losses={','.join(losses)} --seeds={seeds}"
  write_json(folder / "sweep.json", {"command": command, "experiment": "mnist", "members": runs})


def lines_of(path):
  """The JSON lines of a file."""
  return [json.loads(line) for line in path.read_text().splitlines()]


RATES, BETAS = (2e-4, 1e-4, 1e-3, 1e-2), (0.5, 0.1, 0.3, 0.8)  # of the samples of a study


def write_study(folder, searched, confirmed, *, overtaken=None, lost=("", ()), metric=None):
  """Writes a study of two phases.

  Args:
    folder: of the study.
    searched: loss -> the value of each sample.
    confirmed: loss -> the values of seeds 1, 2, ... in the best of its settings.
    overtaken: loss -> sample of another setting, confirmed with seed 1.
    lost: a loss, and its samples that diverged in the search.
    metric: in study.json.
  """
  for loss, values in searched.items():
    for i, value in enumerate(values):
      status = "diverged at step 25" if loss == lost[0] and i in lost[1] else "finished"
      _write_of_study(folder / "search", loss, i, 0, value, status)
    best = min(range(len(values)), key=values.__getitem__)
    for seed, value in enumerate(confirmed.get(loss, ()), start=1):
      _write_of_study(folder / "confirm", loss, best, seed, value)
  for loss, i in (overtaken or {}).items():
    _write_of_study(folder / "confirm", loss, i, 1, 0.1)
  for phase in ("search", "confirm"):
    names = sorted(path.name for path in folder.glob(f"{phase}/members/*"))
    command, runs = "python -m experiments.study", [{"name": name} for name in names]
    write_json(
      writable_folder(folder / phase) / "sweep.json", {"command": command, "members": runs}
    )
  counts = {"samples": len(RATES), "seeds": 3, "steps": 40}
  write_json(folder / "study.json", {"losses": list(searched), "metric": metric, **counts})


def _write_of_study(sweep, loss, sample, seed, value, status="finished"):
  write_run(
    sweep / "members" / f"{loss},sample={sample},seed={seed}",
    loss,
    seed,
    values={"frechet_distance": [20.0, value]},
    steps=40,
    every=20,
    status=status,
    pictures=False,
    generator_learning_rate=RATES[sample],
    b1=BETAS[sample],
  )
