"""Steps two commits of this repository side by side: are their runs equal to the bit?

  python tests/same_bits.py --before=COMMIT [--steps=20] [--cases=preset,rule] [--continued]

Bits differ between machines and versions, so no digest is kept: both commits run here, in this
environment, every preset and every update rule, penalty and regulariser of CASES. Compared are all
records but their seconds, and the parameters, statistics and averages of the last checkpoint. With
--continued the run folder is changed hands: the commit makes half of the steps and this checkout
the rest, against the commit's own unbroken run. --rounded=ema_params names what changed by intent
in the last digits since: it may differ by a relative 1e-5. Ends with exit code 1 where anything
else differs.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

ROOT = pathlib.Path(__file__).resolve().parent.parent
COMPARED = ("generator", "discriminator", "ema_params", "ema_model_state")
DIGITS = ("mnist", "--dataset=digits", "--batch_size=16", "--eval_every=0")
MLP, RING = (*DIGITS, "--model=mlp"), ("ring", "--batch_size=64", "--eval_every=0")
PRESET = ("mnist", "--dataset=digits", "--eval_every=0", "--batch_size=16")
CASES = {
  "preset firstgan_vanilla": (*PRESET, "--preset=firstgan_vanilla"),
  "preset firstgan_dcgan": (*PRESET, "--preset=firstgan_dcgan"),
  "preset tutorial_dcgan": (*PRESET, "--preset=tutorial_dcgan"),
  "preset goodfellow2014": (*PRESET, "--preset=goodfellow2014", "--split=train"),
  "preset pacgan2018": ("ring", "--preset=pacgan2018", "--packing=2", "--batch_size=64"),
  "default mnist": DIGITS,
  "default infogan": (*DIGITS, "--model=infogan"),
  "default ring": RING,
  "conditional": (*DIGITS, "--width=8", "--conditional"),
  "rule alternating, k = 3": (*MLP, "--discriminator_steps=3"),
  "rule shared latents": (*MLP, "--shared_latents"),
  "rule generator first": (*MLP, "--update_rule=alternating_generator_first"),
  "rule simultaneous": (*RING, "--update_rule=simultaneous"),
  "rule extragradient": (*RING, "--update_rule=extragradient"),
  "rule optimistic": (*RING, "--update_rule=optimistic"),
  "rule consensus": (*RING, "--update_rule=consensus"),
  "rule unrolled": (*RING, "--update_rule=unrolled", "--loss=sat"),
  "rule lookahead": (*RING, "--update_rule=lookahead"),
  "penalty wgan_gp": (*MLP, "--loss=wgan", "--penalty=wgan_gp"),
  "penalty lazy r1": (*MLP, "--penalty=r1", "--penalty_every=4"),
  "penalty dragan": (*RING, "--penalty=dragan"),
  "loss wgan": (*MLP, "--loss=wgan", "--optimizer=rmsprop"),
  "loss ragan": (*MLP, "--loss=ragan"),
  "loss smoothed": (*MLP, "--real_label=0.9", "--discriminator_loss_scale=0.5"),
  "instance noise": (*RING, "--instance_noise=0.5", "--instance_noise_steps=10"),
  "lecam": (*MLP, "--lecam_weight=0.3"),
  "bfloat16": (*DIGITS, "--width=8", "--precision=bfloat16"),
}


def main() -> int:
  arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  arguments.add_argument("--before", required=True, help="commit to hold this checkout against")
  arguments.add_argument("--steps", type=int, default=20)
  arguments.add_argument("--cases", default="", help="beginnings of names, by commas")
  arguments.add_argument("--continued", action="store_true", help="half by each, in one folder")
  arguments.add_argument("--rounded", default="", help=f"of {', '.join(COMPARED)}, by commas")
  given = arguments.parse_args()
  chosen = [name for name in CASES if name.startswith(tuple(given.cases.split(",")))]
  with tempfile.TemporaryDirectory() as folder:
    before = pathlib.Path(folder) / "before"
    subprocess.run(["git", "-C", ROOT, "worktree", "add", "-q", before, given.before], check=True)
    try:
      different = [
        name for name in chosen if not _is_same(name, before, pathlib.Path(folder), given)
      ]
    finally:
      subprocess.run(["git", "-C", ROOT, "worktree", "remove", "--force", before], check=True)
  print(f"{len(chosen) - len(different)} of {len(chosen)} cases are equal to the bit")
  return 1 if different else 0


def _is_same(
  name: str, before: pathlib.Path, folder: pathlib.Path, given: argparse.Namespace
) -> bool:
  there, here = (folder / f"{side}-{name.replace(' ', '-')}" for side in ("before", "now"))
  if given.continued:
    _run(before, here, CASES[name], given.steps // 2)
  runs = [_run(before, there, CASES[name], given.steps), _run(ROOT, here, CASES[name], given.steps)]
  rounded = tuple(f"['{part}']" for part in given.rounded.split(","))
  found = [
    where for kind in (_records, _arrays) for where in _differences(*map(kind, runs), rounded)
  ]
  print(f"{name}: {'equal' if not found else 'DIFFERENT in ' + ', '.join(found[:5])}", flush=True)
  return not found


def _run(checkout: pathlib.Path, workdir: pathlib.Path, case: tuple, steps: int) -> pathlib.Path:
  module, *flags = case
  cadences = (
    f"--steps={steps}",
    "--log_every=1",
    "--sample_every=1000",
    f"--workdir={workdir}",
  )
  command = [sys.executable, "-m", f"experiments.{module}", *flags, *cadences]
  environment = os.environ | {"PYTHONPATH": str(checkout)}
  done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)
  if done.returncode:
    sys.exit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-1000:]}")
  return workdir


def _records(workdir: pathlib.Path) -> dict:
  lines = (workdir / "metrics.jsonl").read_text().splitlines()
  records = [json.loads(line) for line in lines]
  return {
    f"{name} at step {record['step']}": value
    for record in records
    for name, value in record.items()
    if name != "seconds"
  }


def _arrays(workdir: pathlib.Path) -> dict:
  with ocp.training.Checkpointer(workdir.absolute() / "checkpoints") as checkpointer:
    saved = checkpointer.load(checkpointer.latest.step)
  return {
    jax.tree_util.keystr(path): np.asarray(leaf)
    for part in COMPARED
    for path, leaf in jax.tree_util.tree_leaves_with_path({part: saved[part]})
  }


def _differences(before: dict, now: dict, rounded: tuple[str, ...]) -> list[str]:
  if not before:
    return ["everything: there is nothing to compare"]
  return [
    name
    for name in before.keys() | now.keys()
    if not _equal(before.get(name), now.get(name), name.startswith(rounded))
  ]


def _equal(before, now, rounded: bool) -> bool:
  if not isinstance(before, np.ndarray) or not isinstance(now, np.ndarray):
    return type(before) is type(now) and before == now
  if rounded:
    return before.shape == now.shape and np.allclose(before, now, rtol=1e-5, atol=1e-7)
  return before.dtype == now.dtype and before.tobytes() == now.tobytes()


if __name__ == "__main__":
  sys.exit(main())
