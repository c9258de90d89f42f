"""Files of weights, written instruction by instruction: what other libraries write, and worse."""

import functools
import io
import json
import math
import struct
import zipfile

import numpy as np

from gan.metrics.extractors import inception

EARLIER = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
KINDS = {"f4": "Float", "f8": "Double", "f2": "Half", "i8": "Long", "u1": "Byte"}
NAMES = {"f4": "F32", "f8": "F64", "f2": "F16", "i8": "I64", "u1": "U8"}


# Instructions of a pickle.


def text(value):
  return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def whole(value):
  if -(2**31) <= value < 2**31:
    return b"J" + struct.pack("<i", value)
  content = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
  return b"\x8a" + bytes([len(content)]) + content


def group(*values):
  return b"(" + b"".join(values) + b"t"


def names(*values):
  return group(*map(whole, values))


def named(module, name):
  return f"c{module}\n{name}\n".encode()


def call(function, *arguments):
  return function + group(*arguments) + b"R"


ORDERED = call(named("collections", "OrderedDict"))
REBUILD = named("torch._utils", "_rebuild_tensor_v2")


def storage(key, count, kind="Float", *view):
  parts = (text("storage"), named("torch", f"{kind}Storage"), text(key), text("cpu"))
  return group(*parts, whole(count), *view) + b"Q"


def tensor(stored, offset, shape, strides):
  return call(REBUILD, stored, whole(offset), names(*shape), names(*strides), b"\x89", ORDERED)


def mapping(**values):
  return ORDERED + b"(" + b"".join(text(key) + value for key, value in values.items()) + b"u"


def pickle(body):
  return b"\x80\x02" + body + b"."


# Whole files.


def strides(shape):
  return [int(np.prod(shape[place + 1 :])) for place in range(len(shape))]


def described(arrays, *view):
  """The instructions of a state dict whose tensors have a storage each, "0", "1", ..."""
  values = {}
  for key, (name, array) in enumerate(arrays.items()):
    stored = storage(str(key), array.size, KINDS[array.dtype.str[1:]], *view)
    values[name] = tensor(stored, 0, array.shape, strides(array.shape))
  return mapping(**values)


def zipped(body, storages=(), compression=zipfile.ZIP_STORED, **members):
  file = io.BytesIO()
  with zipfile.ZipFile(file, "w", compression) as archive:
    archive.writestr("archive/data.pkl", pickle(body))
    for name, content in members.items():
      archive.writestr(f"archive/{name}", content)
    for key, content in enumerate(storages):
      archive.writestr(f"archive/data/{key}", content)
  return file.getvalue()


def torch_zip(arrays):
  return zipped(described(arrays), [a.tobytes() for a in arrays.values()], byteorder=b"little")


def torch_earlier(arrays, protocol=1001, endian=b"\x88", body=None, keys=None, cut=None):
  named_keys = b"](" + b"".join(text(str(key)) for key in range(len(arrays))) + b"e"
  pickles = [
    whole(protocol),
    b"}" + text("little_endian") + endian + b"s",
    described(arrays, b"N") if body is None else body,
    named_keys if keys is None else keys,
  ]
  stored = [struct.pack("<q", array.size) + array.tobytes() for array in arrays.values()]
  return (EARLIER + b"".join(map(pickle, pickles)) + b"".join(stored))[:cut]


def safe(header, content=b"", length=None):
  text = header if isinstance(header, bytes) else json.dumps(header).encode()
  return struct.pack("<Q", len(text) if length is None else length) + text + content


def safetensors(arrays):
  header, end = {"__metadata__": {"format": "pt"}}, 0
  for name, array in arrays.items():
    entry = {"dtype": NAMES[array.dtype.str[1:]], "shape": list(array.shape)}
    header[name] = entry | {"data_offsets": [end, end := end + array.nbytes]}
  return safe(header, b"".join(array.tobytes() for array in arrays.values()))


def npz(arrays):
  file = io.BytesIO()
  np.savez(file, **arrays)
  return file.getvalue()


WRITERS = {
  "zip": torch_zip,
  "earlier": torch_earlier,
  "safetensors": safetensors,
  "npz": npz,
}


# The weights of a network.


@functools.cache
def inception_state():
  """A state dict of Inception whose activations stay of order 1."""
  draws = np.random.default_rng(0)
  found = {}
  for name, shape in inception.shapes().items():
    if name.endswith((".bn.weight", "running_var")):
      found[name] = draws.uniform(0.5, 1.5, shape).astype(np.float32)
    else:
      scale = 0.1 if len(shape) == 1 else math.sqrt(2 / math.prod(shape[1:]))
      found[name] = draws.standard_normal(shape, np.float32) * np.float32(scale)
  return found
