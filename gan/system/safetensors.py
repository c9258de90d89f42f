"""Files of safetensors: the length of a header, the header in JSON, and the numbers.

The format: https://huggingface.co/docs/safetensors.
"""

import io
import json
import math
import pathlib
from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np

from gan.errors import UserError
from gan.system import schema
from gan.system.files import replacing

MAX_HEADER = 2**22  # bytes: an entry takes about a hundred
DTYPES = {
  "F64": np.dtype("<f8"),
  "F32": np.dtype("<f4"),
  "F16": np.dtype("<f2"),
  "BF16": np.dtype(jnp.bfloat16),
  "I64": np.dtype("<i8"),
  "I32": np.dtype("<i4"),
  "I16": np.dtype("<i2"),
  "I8": np.dtype("i1"),
  "U32": np.dtype("<u4"),
  "U8": np.dtype("u1"),
  "BOOL": np.dtype("?"),
}
_CODES = {dtype: code for code, dtype in DTYPES.items()}
_DTYPE = schema.Kind(f"one of {', '.join(DTYPES)}", lambda it: isinstance(it, str) and it in DTYPES)
_PLACE = schema.list_of(schema.COUNT, lengths=(2,))
_TENSOR = schema.entries(
  {"dtype": _DTYPE, "shape": schema.list_of(schema.COUNT), "data_offsets": _PLACE}
)
_HEADER = schema.entries(optional={"__metadata__": schema.ANY}, others=_TENSOR)


def read(stream: io.BufferedIOBase, size: int) -> dict[str, np.ndarray]:
  """Returns the tensors of a file.

  Args:
    stream: the file, from its start.
    size: of the file, in bytes.

  Raises:
    ValueError: it is another file, or damaged; the message is a phrase that says why.
  """
  length = int.from_bytes(stream.read(8), "little")
  if length > min(MAX_HEADER, size - 8):
    raise ValueError(f"its header would have {length:,} bytes")
  header = schema.parse(stream.read(length), _HEADER)
  header.pop("__metadata__", None)
  _check_places(header, size - 8 - length)
  content = stream.read(size - 8 - length)
  return {name: _array(memoryview(content), entry) for name, entry in header.items()}


def _check_places(header: dict, size: int) -> None:
  """Every byte belongs to one tensor, and there are as many as its shape and dtype need."""
  end = 0
  for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
    start, stop = entry["data_offsets"]
    needed = math.prod(entry["shape"]) * DTYPES[entry["dtype"]].itemsize
    if start != end or stop - start != needed:
      raise ValueError(f"{name} does not lie where the tensor before it ends, or is not as long")
    end = stop
  if end != size:
    raise ValueError(f"its tensors have {end:,} bytes and it holds {size:,}")


def _array(content: memoryview, entry: dict) -> np.ndarray:
  dtype, (start, stop) = DTYPES[entry["dtype"]], entry["data_offsets"]
  return np.frombuffer(content[start:stop], dtype).reshape(entry["shape"])


def write(path: pathlib.Path, tensors: Mapping[str, np.ndarray]) -> None:
  """Writes a file, whole or not at all; equal tensors give equal bytes.

  Args:
    path: the file.
    tensors: by their names, of the dtypes in DTYPES.

  Raises:
    UserError: one is of another dtype.
  """
  header, end = {}, 0
  for name, array in tensors.items():
    if array.dtype not in _CODES:
      raise UserError(f"{name} is of {array.dtype}, and safetensors has {', '.join(DTYPES)}")
    start, end = end, end + array.nbytes
    entry = {"dtype": _CODES[array.dtype], "shape": list(array.shape)}
    header[name] = entry | {"data_offsets": [start, end]}
  text = json.dumps(header).encode()
  text += b" " * (-len(text) % 8)  # the first tensor begins at a multiple of 8
  with replacing(path) as file:
    file.write(len(text).to_bytes(8, "little") + text)
    for array in tensors.values():
      file.write(np.ascontiguousarray(array).tobytes())
