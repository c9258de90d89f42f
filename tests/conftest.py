"""Two CPU devices, checked signatures, no silent rank promotion, and caches for tests alone."""

import gc
import os
import pathlib
import tempfile

from jaxlib.version import __version_info__ as jaxlib_version

# Before NumPy is loaded. Threads of its products wait for each other where workers share cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
CACHE = os.path.join(tempfile.gettempdir(), f"gan-tests-{os.getuid()}")
os.environ["XDG_CACHE_HOME"] = CACHE
# Compilation is most of the time of programs that make two steps; processes of tests inherit it.
# A worker has a core, so that a program is compiled in one piece and not by threads. The emitters
# of fusions take most of the time; jaxlib 0.12 has no others, and ends at a flag that it lacks.
if os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1") == "1":
  flags = ["--xla_cpu_parallel_codegen_split_count=1"]
  if jaxlib_version < (0, 11):
    flags.append("--xla_cpu_use_fusion_emitters=false")
  os.environ.setdefault("XLA_FLAGS", " ".join(flags))

import jax  # noqa: E402
import jaxtyping  # noqa: E402
import pytest  # noqa: E402

# Signatures are checked at every call: types, shapes, axes by name. It comes before whatever
# imports the package; processes that tests start do without. An integer serves as a float. Of the
# rooms only the state's is left out: its classes hold shapes, axes and shardings as well as arrays.
ROOT = pathlib.Path(__file__).resolve().parents[1]  # of the checkout
ROOMS = {path.stem for path in (ROOT / "gan").iterdir() if not path.name.startswith("_")}
jaxtyping.install_import_hook(
  [f"gan.{room}" for room in sorted(ROOMS - {"state"})],
  "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))",
)

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_rank_promotion", "raise")
# JAX writes an entry in place: a worker of its own folder reads none that another has half written.
PROGRAMS = os.path.join(CACHE, "xla-" + os.environ.get("PYTEST_XDIST_WORKER", "alone"))
jax.config.update("jax_compilation_cache_dir", PROGRAMS)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.02)


def pytest_collection_finish():
  """Libraries and tests stay: what looks for garbage passes them over, and seldom looks."""
  gc.collect()
  gc.freeze()
  gc.set_threshold(20_000, 20, 20)


@pytest.fixture(scope="module", autouse=True)
def programs_of_a_file():
  """What JAX has traced and compiled for a file of tests goes with it: kept, it is gigabytes."""
  yield
  jax.clear_caches()


@pytest.fixture
def optimized():
  """Programs as users have them, where a rounding counts."""
  before = jax.config.read("jax_disable_most_optimizations")
  jax.clear_caches()
  jax.config.update("jax_disable_most_optimizations", False)
  yield
  jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture
def programs_of_the_tests(monkeypatch):
  """The cache of the tests, where a command in this process would take the user's."""
  monkeypatch.setattr("experiments.cli.common.use_compilation_cache", lambda: None)


@pytest.fixture
def unchecked(monkeypatch):
  """For tests of what a function itself says of arguments that its signature rules out."""
  monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture(scope="session")
def data_root() -> pathlib.Path:
  """The folder that GAN_DATA_DIR names; tests on real data skip where it is absent."""
  root = os.environ.get("GAN_DATA_DIR")
  if not root or not pathlib.Path(root).is_dir():
    pytest.skip("GAN_DATA_DIR names no folder with real data sets")
  return pathlib.Path(root)


@pytest.fixture
def offline(monkeypatch, tmp_path_factory):
  """No network, and no data of the machine's own."""
  monkeypatch.delenv("GAN_DATA_DIR", raising=False)
  monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path_factory.mktemp("tfds")))
  monkeypatch.setattr("gan.datasets.tfds.reachable", lambda url: False)
