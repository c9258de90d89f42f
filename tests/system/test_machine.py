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
def test_freed_memory_is_kept():
  # A block of 64 MiB that is freed stays with the process only if malloc was told so.
  code = """
import resource, sys
if sys.argv[1] == "keep":
  from gan.system.compilation import keep_freed_memory
  keep_freed_memory()
block = bytearray(2**26)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
  del block
  block = bytearray(2**26)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
  faults = {
    choice: int(subprocess.check_output([sys.executable, "-c", code, choice]))
    for choice in ("keep", "leave")
  }
  assert faults["keep"] < faults["leave"] / 10
