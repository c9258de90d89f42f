"""What the machine is told: XLA's libraries change no result, and old ones are done without."""

import ctypes
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from gan.system import compilation


@pytest.fixture
def fresh():
  compilation.compiler_options.cache_clear()
  yield
  compilation.compiler_options.cache_clear()


def normal(seed, *shape):
  return jax.random.normal(jax.random.key(seed), shape)


FUNCTIONS = {
  "product": lambda: (jnp.dot, normal(0, 128, 64), normal(1, 64, 96)),
  "sum": lambda: (lambda x: jnp.sum(x, axis=(0, 1, 2)), normal(0, 16, 7, 7, 32)),
  "convolution": lambda: (
    lambda x, w: lax.conv_general_dilated(
      x, w, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    ),
    normal(0, 8, 14, 14, 32),
    normal(1, 4, 4, 32, 64) / 16,
  ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_compiled_function_has_the_results_of_jit(name):
  function, *arguments = FUNCTIONS[name]()
  expected = jax.jit(function)(*arguments)
  np.testing.assert_allclose(compilation.compiled(function)(*arguments), expected, atol=2e-5)


def test_options_reach_the_compiler():
  # 64 x 64 products go to YNNPACK, convolutions do not.
  function, *arguments = FUNCTIONS["convolution"]()
  program = compilation.compiled(function).lower(*arguments).compile().as_text()
  assert "ynn" not in program


def test_an_option_is_left_out_where_xla_does_not_know_them(monkeypatch, fresh):
  known = {"xla_cpu_prefer_vector_width": "256"}
  monkeypatch.setattr(compilation, "CPU_OPTIONS", {"xla_cpu_no_such_option": True, **known})
  assert compilation.compiler_options("cpu") == known
  assert compilation.compiled(jnp.sin)(0.0) == 0.0


def test_other_backends_have_no_options():
  assert compilation.compiler_options("gpu") == compilation.compiler_options("tpu") == {}


@pytest.mark.skipif(
  sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"), reason="not glibc"
)
@pytest.mark.parametrize(("size", "where"), [(2**26, "main"), (5 * 2**23, "thread")])
def test_freed_memory_is_kept(size, where):
  # Blocks that are freed stay with the process only if malloc was told so: of 64 MiB by the first
  # thread, of 40 by another, whose own arena would give back what is empty of its parts of 64.
  code = """
import resource, sys, threading
if sys.argv[1] == "keep":
  from gan.system.compilation import keep_freed_memory
  keep_freed_memory()
size = int(sys.argv[2])
def renew():
  global faults
  blocks = [bytearray(size) for _ in range(3)]
  before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
  for _ in range(5):
    blocks.clear()
    blocks += [bytearray(size) for _ in range(3)]
  faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
run = renew
if sys.argv[3] == "thread":
  thread = threading.Thread(target=renew)
  run = lambda: (thread.start(), thread.join())
run()
print(faults)
"""
  faults = {
    choice: int(subprocess.check_output([sys.executable, "-c", code, choice, str(size), where]))
    for choice in ("keep", "leave")
  }
  assert faults["keep"] < faults["leave"] / 10


def test_programs_are_let_go_of_once_they_take_half_of_the_maps(monkeypatch, tmp_path):
  most, maps = tmp_path / "most", tmp_path / "maps"
  monkeypatch.setattr(compilation, "MOST_MAPS", most)
  monkeypatch.setattr(compilation, "MAPS", maps)
  traced = []
  program = compilation.compiled(lambda x: traced.append(1) or 2 * x)
  compilation.forget_many_programs()  # another system, which says nothing of this
  for used, times in ((10, 1), (11, 2)):
    most.write_text("20\n")
    maps.write_text("one\n" * used)
    program(1.0)
    compilation.forget_many_programs()
    program(1.0)
    assert len(traced) == times


@pytest.mark.skipif(not compilation.MAPS.exists(), reason="not Linux")
def test_programs_that_are_let_go_of_give_their_maps_back():
  def maps():
    return len(compilation.MAPS.read_text().splitlines())

  programs = [compilation.compiled(lambda x, i=i: jnp.sin(x @ x) + i) for i in range(20)]
  jax.clear_caches()
  before = maps()
  for program in programs:
    program(jnp.ones((4, 4)))
  held = maps() - before
  jax.clear_caches()
  assert held > 20 and maps() - before < held / 3
