"""Files of safetensors as they are written: byte by byte, and as others read them."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from gan.system import safetensors, tensors

ARRAYS = {
  "a/kernel": np.arange(6, dtype=np.float32).reshape(2, 3),
  "scalar": np.int32(7).reshape(()),
  "half": np.asarray(jnp.array([0.5, -2.0], jnp.bfloat16)),
  "none": np.zeros((0, 4), np.float32),
  "turned": np.arange(6, dtype=np.uint32).reshape(2, 3).T,
}


def test_what_is_written_is_read_back(tmp_path):
  safetensors.write(tmp_path / "a", ARRAYS)
  read = tensors.read(tmp_path / "a")
  assert [*read] == [*ARRAYS]
  for name, array in ARRAYS.items():
    assert read[name].dtype == array.dtype
    np.testing.assert_array_equal(read[name], array)


def test_the_bytes_are_a_length_a_header_and_the_numbers(tmp_path):
  safetensors.write(tmp_path / "a", {"x": np.array([1, 2], np.uint8)})
  content = (tmp_path / "a").read_bytes()
  size = int.from_bytes(content[:8], "little")
  entry = {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}
  assert json.loads(content[8 : 8 + size]) == {"x": entry}
  assert size % 8 == 0 and content[8 + size :] == b"\1\2"


def test_the_package_of_the_form_reads_it(tmp_path):
  numpy = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
  safetensors.write(tmp_path / "a", {"x": ARRAYS["a/kernel"]})
  np.testing.assert_array_equal(numpy.load_file(tmp_path / "a")["x"], ARRAYS["a/kernel"])
