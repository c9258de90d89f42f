"""What the world outside does to a command: one line, an exit code, a status, and nothing lost."""

import errno
import os
import pathlib
import pwd
import resource
import signal
import subprocess
import sys
import time
import uuid

import jax
import pytest
from absl import flags
from conftest import ROOT

from experiments import (
  compare,
  evaluate,
  fashion_mnist,
  losses,
  mnist,
  ring,
  sample,
  sweep,
  train_classifier,
)
from experiments.benchmark import __main__ as benchmark
from experiments.cli import children, flag_types
from experiments.cli.command import BAD_INPUT, MACHINE_FAILED, Command
from experiments.scaling import __main__ as scaling
from experiments.theory import __main__ as theory
from gan.datasets import tfds
from gan.errors import UserError, failure
from gan.metrics import extractors
from gan.report import study
from gan.sweeps import ray_cluster
from gan.system import cache, memory
from gan.training.run_folder import RunFolder, read_summary

COMMANDS = {
  module.__name__: module.main
  for module in (
    *(benchmark, compare, evaluate, fashion_mnist, losses, mnist, ring, sample, scaling, sweep),
    *(theory, train_classifier),
  )
}
SMALL = ("--split=train[:50]", "--batch_size=4", "--eval_every=0", "--checkpoint_every=1")
SMALL += ("--width=256", "--parallel=none")


@pytest.fixture
def one_line(tmp_path, capsys):
  """one_line(main, *flags) is the only line that a command prints, after its exit code."""

  def run(main, *given):
    code = main(["command", *given])
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    return code, line

  return run


# Exceptions.


def os_error(number, *where):
  return OSError(number, os.strerror(number), *where)


def caused(error, cause):
  error.__cause__ = cause
  return error


TENSORSTORE = ValueError(
  'UNKNOWN: Error writing "a/c" at local file "/x/checkpoints/1/": Failed to write 8 bytes to file '
  "21: No space left on device [os_error_code='28']"
)
XLA = jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 400 bytes.")
OUTSIDE = [
  (os_error(errno.ENOSPC, "/x/y"), MACHINE_FAILED, "disk full (/x/y)"),
  (os_error(errno.ENOSPC), MACHINE_FAILED, "disk full"),
  (os_error(errno.EDQUOT), MACHINE_FAILED, "quota"),
  (os_error(errno.EFBIG), MACHINE_FAILED, "file size limit"),
  (os_error(errno.EMFILE), MACHINE_FAILED, "too many open files"),
  (os_error(errno.ENFILE), MACHINE_FAILED, "too many open files"),
  (os_error(errno.EIO, b"/x"), MACHINE_FAILED, "input or output error (/x)"),
  (os_error(errno.EAGAIN), MACHINE_FAILED, "processes"),
  (os_error(errno.ENOMEM), MACHINE_FAILED, "out of memory"),
  (MemoryError(), MACHINE_FAILED, "out of memory"),
  (XLA, MACHINE_FAILED, "out of memory"),
  (TENSORSTORE, MACHINE_FAILED, "disk full (/x/checkpoints/1/)"),
  (caused(RuntimeError("saving failed"), TENSORSTORE), MACHINE_FAILED, "disk full"),
  (ExceptionGroup("threads", [ValueError("a"), MemoryError()]), MACHINE_FAILED, "out of memory"),
  (ImportError("lib.so: cannot open: Too many open files"), MACHINE_FAILED, "too many open files"),
  (os_error(errno.EACCES, "/x"), BAD_INPUT, "/x: Permission denied"),
  (os_error(errno.EROFS, "/x"), BAD_INPUT, "/x: Read-only file system"),
  (os_error(errno.ENAMETOOLONG, "/x"), BAD_INPUT, "/x: File name too long"),
  (os_error(errno.EISDIR, "/x"), BAD_INPUT, "/x: Is a directory"),
  (os_error(errno.ENOENT, "/x"), BAD_INPUT, "/x: No such file"),
  (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), BAD_INPUT, "utf-8"),
  (UnicodeEncodeError("ascii", "\xe9", 0, 1, "not in range"), BAD_INPUT, "PYTHONIOENCODING"),
  (RuntimeError("Could not determine home directory."), BAD_INPUT, "HOME"),
  (UserError("a line\nand another"), BAD_INPUT, r"a line\nand another"),
]


@pytest.mark.parametrize(
  ("error", "code", "words"), OUTSIDE, ids=[f"{type(e).__name__}-{w}" for e, _, w in OUTSIDE]
)
def test_what_the_world_refuses_is_one_line_and_an_exit_code(error, code, words, capsys):
  def main():
    raise error

  assert Command("A command.").run(main, ["command"]) == code
  (line,) = capsys.readouterr().err.splitlines()
  assert line.startswith("error: ") and words in line


@pytest.mark.parametrize("error", [ValueError("a fault"), KeyError("key"), TypeError()])
def test_a_fault_of_the_program_is_not_hidden(error):
  def main():
    raise error

  assert failure(error) is None
  with pytest.raises(type(error)):
    Command("A command.").run(main, ["command"])


def test_threads_of_libraries_fail_in_silence_where_the_command_tells_it():
  """A process of its own: pytest catches exceptions of threads itself."""
  code = """
import threading
from experiments.cli.command import Command

def fail(error):
  def target():
    raise error
  thread = threading.Thread(target=target)
  thread.start()
  thread.join()

def main():
  fail(OSError(28, "No space left on device"))
  fail(RuntimeError("Event loop is closed"))
  fail(ValueError("a fault"))
  raise OSError(28, "No space left on device")

raise SystemExit(Command("A command.").run(main, ["command"]))
"""
  found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
  assert found.returncode == MACHINE_FAILED
  assert found.stderr.count("Traceback") == 1 and "ValueError: a fault" in found.stderr
  assert found.stderr.splitlines()[-1].startswith("error: disk full")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
def test_a_full_output_is_one_line():
  with open("/dev/full", "w") as full:
    command = [sys.executable, "-m", "experiments.compare", "--help"]
    found = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True)
  (line,) = found.stderr.splitlines()
  assert found.returncode == MACHINE_FAILED and line.startswith("error: disk full")


# A run that the disk breaks off.


@pytest.fixture
def file_size_limit():
  """file_size_limit(bytes) holds until the test ends, and so does no limit after it."""
  before = resource.getrlimit(resource.RLIMIT_FSIZE)
  # A program that is kept meanwhile would be kept in part, and read so by later tests.
  least = jax.config.jax_persistent_cache_min_compile_time_secs
  jax.config.update("jax_persistent_cache_min_compile_time_secs", 1e9)
  yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
  resource.setrlimit(resource.RLIMIT_FSIZE, before)
  jax.config.update("jax_persistent_cache_min_compile_time_secs", least)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  folder = tmp_path_factory.mktemp("outside") / "run"
  assert ring.main(["ring", f"--workdir={folder}", *SMALL, "--steps=2"]) == 0
  return folder


def test_a_checkpoint_that_cannot_be_written_ends_the_run_and_loses_nothing(
  run, file_size_limit, capfd
):
  flags = ["ring", f"--workdir={run}", *SMALL, "--steps=4"]
  file_size_limit(100_000)
  assert ring.main(flags) == MACHINE_FAILED
  file_size_limit(resource.RLIM_INFINITY)
  said = capfd.readouterr().err
  assert "Traceback" not in said and said.count("error: ") == 1
  assert "error: file size limit reached" in said and "ulimit -f" in said
  summary = read_summary(run)
  assert (summary["status"], summary["step"]) == ("failed: file size limit reached", 2)
  assert not list((run / "checkpoints").glob("*tmp*"))
  assert ring.main(flags) == 0
  assert "Continuing from step 2" in capfd.readouterr().err
  assert read_summary(run)["status"] == "finished"


def test_a_run_that_failed_is_counted_as_one_that_is_to_go_on(tmp_path):
  RunFolder(tmp_path).summarize("failed: disk full", step=2)
  assert study._status(tmp_path, {"steps": 4}) == ("failed", None)


def test_a_damaged_checkpoint_is_told_in_one_line(run, capfd):
  manifest = run / "checkpoints" / "4" / "state" / "manifest.ocdbt"
  whole = manifest.read_bytes()
  manifest.write_bytes(whole[:-1])
  assert sample.main(["sample", f"--workdir={run}"]) == 0
  manifest.write_bytes(whole)
  (line,) = capfd.readouterr().err.splitlines()
  assert "The checkpoint of step 4 is damaged" in line


# Homes.


@pytest.fixture
def no_home(monkeypatch):
  def unknown(uid):
    raise KeyError(uid)

  for name in ("HOME", "XDG_CACHE_HOME", "TFDS_DATA_DIR"):
    monkeypatch.delenv(name, raising=False)
  monkeypatch.setattr(pwd, "getpwuid", unknown)


def test_a_user_without_a_home_has_a_cache_and_a_data_folder(no_home):
  folder = cache.cache_folder()
  assert folder.is_absolute() and folder.is_dir() and folder.stat().st_mode & 0o077 == 0
  assert cache.cache_folder() == folder
  assert tfds.default_root().parent == folder


def test_a_cache_that_cannot_be_made_is_replaced(monkeypatch, tmp_path):
  (tmp_path / "file").write_text("mine")
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
  assert cache.cache_folder().is_dir()


FIGURES = """
import sys
from experiments.cli.command import Command

def draw():
  import matplotlib.font_manager
  return 0

sys.exit(Command("").run(draw, ["draw"]))
"""


def test_figures_are_drawn_without_a_line_where_no_home_can_be_written():
  environment = {name: text for name, text in os.environ.items() if name != "MPLCONFIGDIR"}
  environment |= {"HOME": "/proc/none", "XDG_CONFIG_HOME": "", "XDG_CACHE_HOME": "/proc/none"}
  command = [sys.executable, "-c", FIGURES]
  result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=100)
  assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")


def test_a_path_from_home_without_a_home_is_refused(no_home, one_line):
  code, line = one_line(ring.main, "--workdir=~/x")
  assert code == BAD_INPUT and "no home folder ~" in line


# Values of flags.


@pytest.fixture
def flags_of(monkeypatch):
  """flags_of(main) are the flags of a command, which does not run."""

  def get(main):
    found = []
    monkeypatch.setattr(Command, "run", lambda self, *rest: found.append(self) or 0)
    main(["command"])
    return found[0].values

  return get


NAMES_OF_PATHS = {"workdir", "data_dir", "out", "outdir", "docs", "real", "fake", "statistics"}
REFUSED = {
  flag_types.Number: ("nan", "inf", "-inf", "1e999"),
  flag_types.Count: ("nan", "1e3", str(10**12), "-" + "9" * 5000),
  flag_types.Path: ("", "~nosuch-user/x"),
  flag_types.Paths: ("", "a,~nosuch-user/x"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_flag_of_every_command_refuses_what_its_kind_cannot_be(flags_of, name):
  values = flags_of(COMMANDS[name])
  for flag in values:
    parser = values[flag].parser
    if flag in NAMES_OF_PATHS:
      assert isinstance(parser, (flag_types.Path, flag_types.Paths)), flag
    for text in REFUSED.get(type(parser), ()):
      with pytest.raises(flags.Error, match=f"flag --{flag}="):
        values(["command", f"--{flag}={text}"])


def test_home_is_meant_by_every_path(flags_of, monkeypatch):
  monkeypatch.setenv("HOME", "/home/me")
  values = flags_of(evaluate.main)
  values(["evaluate", "--workdir=~/a", "--statistics=~", "--outdir=b/~"])
  assert (values.workdir, values.statistics, values.outdir) == ("/home/me/a", "/home/me", "b/~")
  assert extractors.placed("~/a.npz,mnist") == "/home/me/a.npz,mnist"
  values = flags_of(compare.main)
  values(["compare", "--workdir=~/a,b,seed=0,~/c"])
  assert values.workdir == "/home/me/a,b,seed=0,/home/me/c"


SETS = ("--real=a.npz", "--fake=b.npz")
SEVERAL = ("--num_processes=2", "--process_id=0")
UNREAD = [
  (sweep.main, ("--samples=3",), "--samples is read by --space only"),
  (sweep.main, ("--ray_address=auto",), "--ray_address is read by --launcher=ray only"),
  (sweep.main, ("--launcher=ray", "--ray_address=a:65536"), "a port from 1 to 65535"),
  (sweep.main, ("--launcher=ray", "--ray_address=ray://a:1"), "must be HOST:PORT"),
  (sweep.main, ("--grid=optimizer=nosuch",), "--optimizer=nosuch is unknown"),
  (sweep.main, ("--grid=discriminator_norm=nosuch",), "is unknown"),
  (sweep.main, ("--grid=b1=nan",), "must be a finite number"),
  (sweep.main, ("--grid=latent_dim=0",), "must be above 0"),
  (sweep.main, ("--grid=latent_dim=1e3",), "must be of type int"),
  (ring.main, ("--data_dir=/",), "--data_dir is not read for --dataset=ring"),
  (ring.main, ("--eval_every=0", "--eval_samples=99"), "--eval_samples is read by --eval_every"),
  (ring.main, ("--instance_noise_steps=9",), "--instance_noise_steps is read by --instance_noise"),
  (
    ring.main,
    ("--optimizer=sgd", "--generator_optimizer=adam", "--discriminator_optimizer=adam"),
    "--optimizer is read by a player without",
  ),
  (
    ring.main,
    ("--update_rule=drifting", "--discriminator_learning_rate=0.001"),
    "--discriminator_learning_rate is read by an --update_rule with a discriminator only",
  ),
  (ring.main, ("--ema_half_life=100", "--ema_decay=0.9"), "--ema_decay is not read beside"),
  (
    ring.main,
    ("--schedules=b1=linear:0.9,b2=linear:0.9",),
    "linear:END in finite numbers; fields are separated by ';'",
  ),
  (ring.main, ("--process_timeout=9",), "--process_timeout is read by"),
  (ring.main, ("--coordinator=a:65536", *SEVERAL), "a port from 1 to 65535"),
  (ring.main, ("--coordinator=a:0", *SEVERAL), "a port from 1 to 65535"),
  (
    ring.main,
    ("--coordinator=a:1", "--num_processes=1000000000", "--process_id=0"),
    "--num_processes=1000000000 must be from 1",
  ),
  (evaluate.main, (*SETS, "--data_dir=c"), "--data_dir is read by --workdir only"),
  (benchmark.main, ("--sweep_steps=3",), "--sweep_steps is read by --sweeps only"),
  (benchmark.main, ("--sweeps=mlp", "--pairs=3"), "--pairs is read by --peer or --cases only"),
  (benchmark.main, ("--peer=none", "--forms=eager"), "--forms is read by --peer=torch only"),
  (theory.main, ("--case=dirac", "--workdir=x"), "--workdir is read by --case="),
  (theory.main, ("--case=dirac,bilinear", "--seeds=2"), "--seeds is read by --case="),
  (compare.main, ("--workdir=",), "must not be empty"),
]


@pytest.mark.parametrize(
  ("main", "given", "words"), UNREAD, ids=[" ".join(given) for _, given, _ in UNREAD]
)
def test_what_nothing_reads_or_cannot_be_is_refused(main, given, words, one_line):
  code, line = one_line(main, *given)
  assert code == BAD_INPUT and words in line


@pytest.mark.parametrize(
  ("main", "first", "last"),
  [
    (sweep.main, "--losses=sat", "--losses=nosuch,hinge"),
    (ring.main, "--schedules=b1=linear:0.9", "--schedules=b3=linear:0.9"),
  ],
)
def test_a_list_that_is_given_twice_is_said(main, first, last, capsys):
  assert main([main.__module__, first, last]) == BAD_INPUT
  note, error = capsys.readouterr().err.splitlines()
  name = last.partition("=")[0]
  assert note == f"note: {name} is given again: {last} alone is read; one flag can hold all"
  assert error.startswith("error: ") and first not in error


# Sizes.

MLP = ("--dataset=digits", "--split=train[:20]", "--model=mlp")
SIZES = [
  (ring.main, "--batch_size=100000000000"),
  (ring.main, "--batch_size=2000000000"),
  (ring.main, "--width=1000000000"),
  (ring.main, "--latent_dim=2000000000"),
  (ring.main, "--discriminator_steps=2000000000"),
  (ring.main, "--eval_samples=1000000000000"),
  (ring.main, "--steps=99999999999999999999"),
  (mnist.main, "--image_size=100000"),
  (mnist.main, "--packing=64000000", "--batch_size=64000000"),
  (sweep.main, "--seeds=1000000000"),
  (sweep.main, "--search=lucic_wide", "--samples=1000000000"),
  (sweep.main, "--losses=nonsat", "--seeds=1", "--grid=latent_dim=16,2000000000"),
  (sweep.main, "--seeds=1", "--grid=latent_dim=3000000000"),
]


@pytest.mark.parametrize(
  ("main", "given"), [(main, given) for main, *given in SIZES], ids=[" ".join(s[1:]) for s in SIZES]
)
def test_sizes_that_no_memory_holds_are_refused_at_once(main, given, one_line, tmp_path):
  began = time.monotonic()
  more = {ring.main: (), mnist.main: MLP, sweep.main: ("--experiment=ring",)}[main]
  code, line = one_line(main, *more, *given, f"--workdir={tmp_path / 'run'}")
  assert code == BAD_INPUT and len(line) < 400
  assert time.monotonic() - began < 20


def test_memory_is_counted_in_bytes():
  assert memory.require(10, "it", "this", 10) is None
  with pytest.raises(UserError, match="2.0 KiB of memory are needed for it, and there are 1.0 KiB"):
    memory.require(2048, "it", "this", 1024)
  assert 2**26 < memory.machine_bytes() < 2**50


# Outputs that cannot be written.


@pytest.mark.parametrize(
  ("main", "flag", "work"),
  [
    (scaling.main, "docs", (scaling, "measured")),
    (theory.main, "docs", (theory, "table")),
    (theory.main, "outdir", (theory, "table")),
    (losses.main, "outdir", (losses, "table")),
    (benchmark.main, "outdir", (benchmark.device, "describe")),
  ],
)
@pytest.mark.parametrize("name", ["file/below", "pipe"])
def test_an_output_that_cannot_be_written_is_refused_before_the_work(
  main, flag, work, name, one_line, tmp_path, monkeypatch
):
  (tmp_path / "file").write_text("mine")
  os.mkfifo(tmp_path / "pipe")
  monkeypatch.setattr(*work, lambda *args: pytest.fail("it worked"))
  if main is theory.main:
    monkeypatch.setattr(theory, "_jobs", lambda: pytest.fail("it worked"))
  given = [f"--{flag}={tmp_path / name}"]
  if flag == "docs" and main is theory.main:
    given.append(f"--outdir={tmp_path / 'out'}")
  code, line = one_line(main, *given)
  assert code == BAD_INPUT and str(tmp_path) in line
  assert (tmp_path / "file").read_text() == "mine"


# Processes.


def alive(number):
  try:
    return "Z" not in pathlib.Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
  except OSError:
    return False


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs /proc")
def test_workers_end_with_the_command_that_is_killed():
  code = """
import subprocess, time
from experiments.cli import children
child = subprocess.Popen(children.command("timeit", "-n1", "-r1", "import time; time.sleep(60)"))
print(child.pid, flush=True)
time.sleep(60)
"""
  command = [sys.executable, "-c", code]
  parent = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
  child = int(parent.stdout.readline())
  time.sleep(1)
  assert alive(child)
  parent.send_signal(signal.SIGKILL)
  parent.communicate()
  ended = time.monotonic() + 20
  while alive(child):
    assert time.monotonic() < ended
    time.sleep(0.1)


def test_a_child_runs_a_module_with_its_arguments():
  command = children.command("timeit", "-n1", "-r1", "print(__import__('sys').argv[1:])")
  found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
  assert found.returncode == 0 and "-n1" in found.stdout


@pytest.mark.parametrize("python", ["python3.99", "/nosuch/python", "shim"])
def test_an_interpreter_that_does_not_run_is_one_line_of_make(python, tmp_path):
  shim = tmp_path / "shim"
  shim.write_text("#!/bin/sh\necho 3.99.0; echo 'pyenv: command not found' >&2; exit 127\n")
  shim.chmod(0o755)
  python = str(shim) if python == "shim" else python
  command = ["make", "test", f"PYTHON={python}"]
  # As a user calls it, and not as a part of another make.
  own = {
    name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))
  }
  found = subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True)
  (line,) = (found.stdout + found.stderr).splitlines()
  assert found.returncode and f"{python} does not run" in line


# Ray.


def test_an_address_where_nobody_listens_is_told_at_once(monkeypatch):
  monkeypatch.setattr(ray_cluster, "require", lambda address: None)
  with (
    pytest.raises(UserError, match="127.0.0.1:1: no cluster answers .*refused"),
    ray_cluster.connected("127.0.0.1:1"),
  ):
    pass


def listening(mark):
  """Addresses, in hexadecimal, of the sockets on which processes with a mark listen."""
  sockets = set()
  for folder in pathlib.Path("/proc").glob("[0-9]*"):
    try:
      if mark in (folder / "environ").read_bytes().split(b"\0"):
        sockets |= {os.readlink(file) for file in (folder / "fd").iterdir()}
    except OSError:
      continue
  tables = (pathlib.Path(f"/proc/net/{name}").read_text() for name in ("tcp", "tcp6"))
  rows = [line.split() for table in tables for line in table.splitlines()[1:]]
  listens = "0A"
  return {
    row[1].split(":")[0] for row in rows if row[3] == listens and f"socket:[{row[9]}]" in sockets
  }


LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}


@pytest.mark.cluster
@pytest.mark.skipif(not os.path.exists("/proc/net/tcp"), reason="needs /proc")
def test_a_cluster_of_this_machine_listens_on_its_loopback_interface_alone():
  pytest.importorskip("ray")
  mark = f"GAN_TEST={uuid.uuid4().hex}"
  name, value = mark.split("=")
  code = """
from gan.sweeps import ray_cluster
with ray_cluster.connected(None) as ray:
  print(ray.get(ray.remote(lambda: 7).remote()), flush=True)
  input()
"""
  process = subprocess.Popen(
    [sys.executable, "-c", code],
    cwd=ROOT,
    env=os.environ | {name: value},
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  )
  try:
    assert process.stdout.readline() == "7\n"
    found = listening(mark.encode())
  finally:
    process.communicate("\n")
  assert found and found <= LOOPBACK


@pytest.mark.cluster
def test_a_cluster_of_this_machine_refuses_who_has_no_token():
  pytest.importorskip("ray")
  # Ray is imported first, as in a notebook that uses it, and read its environment then.
  code = """
import os, subprocess, sys
import ray
from gan.sweeps import ray_cluster
with ray_cluster.connected(None) as ray:
  address = ray.get_runtime_context().gcs_address
  stranger = {name: value for name, value in os.environ.items() if "RAY_AUTH" not in name}
  stranger |= {"RAY_NUM_REDIS_GET_RETRIES": "1", "RAY_py_gcs_connect_timeout_s": "5"}
  script = "import ray, sys; ray.init(sys.argv[1], logging_level='ERROR')"
  found = subprocess.run([sys.executable, "-c", script, address], env=stranger, capture_output=True)
  print(found.returncode, b"AuthenticationError" in found.stderr)
"""
  found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
  assert found.stdout.split() == ["1", "True"], found.stderr
