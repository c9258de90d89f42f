"""Two processes with two CPU devices each, on loopback, against one process with four."""

import os
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
import tensorboard_log
from conftest import ROOT

from gan.training import distributed, restore
from gan.training.run_folder import read_metrics, read_summary

TIMEOUT = 600  # seconds for a run, on a slow machine
FLAGS = ["--batch_size=32", "--steps_per_call=1", "--eval_every=0", "--log_every=10"]

pytestmark = pytest.mark.cluster


def start(workdir, steps, *flags, devices=1):
  """Starts `experiments.ring` with so many CPU devices."""
  environment = os.environ | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(devices)}
  command = [sys.executable, "-m", "experiments.ring", f"--workdir={workdir}", f"--steps={steps}"]
  cadence = [f"--checkpoint_every={steps // 4}", f"--sample_every={steps // 2}"]
  return subprocess.Popen(
    [*command, *cadence, *FLAGS, *flags],
    cwd=ROOT,
    env=environment,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  )


def start_two(workdir, steps, *flags, devices=2, timeout=60, others=()):
  """Starts two processes of one run; `others` are further flags of process 1."""
  with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    address = f"127.0.0.1:{free.getsockname()[1]}"
  flags = [*flags, f"--coordinator={address}", "--num_processes=2", f"--process_timeout={timeout}"]
  own = (["--process_id=0"], ["--process_id=1", *others])
  return [start(workdir, steps, *flags, *extra, devices=devices) for extra in own]


def end(*processes):
  """Returns [(exit code, output)] of processes, which end by themselves."""
  try:
    outputs = [process.communicate(timeout=TIMEOUT)[0] for process in processes]
  finally:
    for process in processes:
      process.kill()
  return [(process.returncode, text) for process, text in zip(processes, outputs, strict=True)]


def run(*processes):
  """Waits for processes that must succeed."""
  for code, output in end(*processes):
    assert code == 0, output


def wait_for_checkpoint(workdir, step):
  for _ in range(10 * TIMEOUT):
    if (workdir / "checkpoints" / str(step)).exists():
      return
    time.sleep(0.1)
  raise TimeoutError(f"no checkpoint of step {step} in {workdir}")


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
  """The same 80 steps on four devices of one process."""
  folder = tmp_path_factory.mktemp("unbroken") / "run"
  run(start(folder, 80, devices=4))
  return folder


def assert_same_run(folder, unbroken, rtol=2e-3):
  """Records and states agree to rounding, which 80 steps let grow."""
  ours, theirs = read_metrics(folder), read_metrics(unbroken)
  assert [r["step"] for r in ours] == [r["step"] for r in theirs]
  for name in ("discriminator_loss", "generator_loss", "real_logit", "fake_probability"):
    a, b = ([record[name] for record in records] for records in (ours, theirs))
    np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-3, err_msg=name)
  states = [restore.load(path, say=lambda line: None).state for path in (folder, unbroken)]
  for a, b in zip(*map(jax.tree.leaves, states), strict=True):
    np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-3)


def assert_logged_once(folder, sessions):
  """Process 0 alone wrote to TensorBoard, a file a session, and each record is there once."""
  shown = tensorboard_log.values(folder, "train/generator_loss")
  logged = {step: [value.simple_value for value in each] for step, each in shown.items()}
  assert logged == {
    record["step"]: [np.float32(record["generator_loss"])] for record in read_metrics(folder)
  }
  assert len(tensorboard_log.files(folder)) == sessions


@pytest.mark.parametrize(
  ("way", "place"), [("jit", "device"), ("jit", "host"), ("shard_map", "device"), ("pmap", "host")]
)
def test_two_processes_train_the_run_of_one(way, place, unbroken, tmp_path):
  run(*start_two(tmp_path / "run", 80, f"--parallel={way}", f"--data_on={place}"))
  assert_same_run(tmp_path / "run", unbroken)
  assert read_summary(tmp_path / "run")["status"] == "finished"
  assert len(list((tmp_path / "run" / "samples").glob("*.png"))) == 2


def test_a_run_goes_on_with_other_numbers_of_devices(unbroken, tmp_path):
  folder, cadence = tmp_path / "run", ["--checkpoint_every=20", "--sample_every=40"]
  run(*start_two(folder, 20, *cadence))  # 4 devices
  run(start(folder, 40, *cadence))  # 1
  run(*start_two(folder, 80, devices=1))  # 2
  assert_same_run(folder, unbroken)


@pytest.mark.parametrize("victim", [0, 1])
def test_the_loss_of_a_process_is_one_line_and_the_restart_equals_the_unbroken_run(
  victim, unbroken, tmp_path
):
  processes = start_two(tmp_path / "run", 80, "--log=tensorboard")
  wait_for_checkpoint(tmp_path / "run", 40)
  processes[victim].kill()
  began = time.monotonic()
  code, output = end(*processes)[1 - victim]
  assert time.monotonic() - began < 120  # the time-out, and a slow machine
  assert code == distributed.LOST
  errors = [line for line in output.splitlines() if line.startswith("error:")]
  assert len(errors) == 1 and f"process {1 - victim} ended" in errors[0]
  assert "Traceback" not in output and "Check failure" not in output
  run(*start_two(tmp_path / "run", 80, "--log=tensorboard"))
  assert_same_run(tmp_path / "run", unbroken)
  assert_logged_once(tmp_path / "run", sessions=2)


def test_an_interrupt_of_one_stops_both_at_one_step(unbroken, tmp_path):
  processes = start_two(tmp_path / "run", 80)
  wait_for_checkpoint(tmp_path / "run", 20)
  processes[1].send_signal(signal.SIGINT)
  results = end(*processes)
  assert [code for code, _ in results] == [130, 130], results
  assert read_summary(tmp_path / "run")["status"] == "interrupted"
  assert "The same command continues from there." in results[0][1]
  run(*start_two(tmp_path / "run", 80))
  assert_same_run(tmp_path / "run", unbroken)


def test_what_one_process_cannot_do_ends_all_with_its_line(tmp_path):
  results = end(*start_two(tmp_path / "run", 80, others=["--loss=hinge"]))
  assert [code for code, _ in results] == [2, 2]
  assert "loss: nonsat there, hinge here" in results[1][1].splitlines()[-1]
  assert results[0][1].splitlines()[-1].startswith("error: process 1: ")


def test_what_breaks_in_one_process_ends_all_with_a_line_each(tmp_path):
  # A folder where process 0 wants to write a file.
  (tmp_path / "run" / "config.json.part").mkdir(parents=True)
  for process, (code, output) in enumerate(end(*start_two(tmp_path / "run", 80))):
    assert code == distributed.LOST
    line = output.splitlines()[-1]
    assert line.startswith(f"error: process {process} ended: ") and "Traceback" not in output
    assert ("IsADirectoryError" in line) == (process == 0)


def test_folders_that_are_not_shared_are_refused(tmp_path):
  results = end(*start_two(tmp_path / "run", 80, others=[f"--workdir={tmp_path / 'other'}"]))
  assert [code for code, _ in results] == [2, 2]
  assert "all hosts share" in results[1][1]
  assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("process", [0, 1])
def test_others_that_do_not_come_are_one_line(process, tmp_path):
  processes = start_two(tmp_path / "run", 80, timeout=4)
  processes[1 - process].kill()
  code, output = end(*processes)[process]
  assert code == distributed.LOST
  (line,) = output.splitlines()
  assert line.startswith(f"error: process {process} did not find the others") and "4 s" in line
  assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
  ("flags", "message"),
  [
    (["--coordinator=a:1"], "--coordinator needs --num_processes and --process_id"),
    (["--coordinator=a", "--num_processes=2", "--process_id=0"], "must be HOST:PORT"),
    (["--coordinator=a:1", "--num_processes=2", "--process_id=2"], "must be from 0 to 1"),
    (["--distributed", "--process_timeout=0"], "--process_timeout=0 must be above 0"),
    (["--distributed"], "the processes cannot be joined"),
  ],
)
def test_flags_that_do_not_fit_are_one_line(flags, message, tmp_path):
  ((code, output),) = end(start(tmp_path / "run", 4, *flags))
  assert code == 2
  (line,) = output.splitlines()
  assert line.startswith("error: ") and message in line
