"""Files of weights: what PyTorch, safetensors and NumPy write is read, and nothing of it is run."""

import builtins
import hashlib
import io
import os
import pickle
import struct
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest
import weight_files as files
from weight_files import ORDERED, REBUILD, call, group, mapping, named, storage, tensor, text, whole

from gan.errors import UserError
from gan.system import pickled, tensors

ARRAYS = {
  "conv.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
  "bn.num_batches_tracked": np.array(7),
  "half": np.arange(3, dtype=np.float16),
  "double": np.linspace(0, 1, 5),
  "empty": np.zeros((0, 3), np.float32),
  "bytes": np.arange(4, dtype=np.uint8),
}


def read(tmp_path, content):
  path = tmp_path / "weights"
  path.write_bytes(content)
  return tensors.read(path)


def refusal(tmp_path, content):
  with pytest.raises(UserError) as caught:
    read(tmp_path, content)
  message = str(caught.value)
  assert len(message.splitlines()) == 1 and str(tmp_path) in message
  return message


# What is read.


@pytest.mark.parametrize("kind", files.WRITERS)
def test_arrays_come_back_with_their_names_shapes_and_dtypes(tmp_path, kind):
  found = read(tmp_path, files.WRITERS[kind](ARRAYS))
  assert list(found) == list(ARRAYS)
  for name, array in ARRAYS.items():
    assert found[name].dtype == array.dtype and found[name].shape == array.shape
    np.testing.assert_array_equal(found[name], array)


def test_tensors_may_share_a_storage_and_lie_across_it(tmp_path):
  numbers = np.arange(6, dtype=np.float32)
  stored = storage("0", 6)
  body = mapping(
    turned=tensor(stored, 0, (3, 2), (1, 3)),
    last=tensor(stored, 5, (), ()),
    every=tensor(stored, 1, (3,), (2,)),
  )
  found = read(tmp_path, files.zipped(body, [numbers.tobytes()]))
  np.testing.assert_array_equal(found["turned"], numbers.reshape(2, 3).T)
  assert found["last"] == 5
  np.testing.assert_array_equal(found["every"], [1, 3, 5])


def test_bfloat16_is_read_from_both_formats(tmp_path):
  numbers = np.array([1, -2.5, 3], jnp.bfloat16)
  body = mapping(a=tensor(storage("0", 3, "BFloat16"), 0, (3,), (1,)))
  header = {"a": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]}}
  for content in (files.zipped(body, [numbers.tobytes()]), files.safe(header, numbers.tobytes())):
    found = read(tmp_path, content)["a"]
    assert found.dtype == jnp.bfloat16
    np.testing.assert_array_equal(found.astype(np.float32), [1, -2.5, 3])


def test_versions_of_modules_and_parameters_are_read_over(tmp_path):
  parameter = call(
    named("torch._utils", "_rebuild_parameter"),
    tensor(storage("0", 2), 0, (2,), (1,)),
    b"\x88",
    ORDERED,
  )
  body = mapping(a=parameter) + b"}" + text("_metadata") + ORDERED + b"s" + b"b"
  found = read(tmp_path, files.zipped(body, [np.array([1, 2], np.float32).tobytes()]))
  np.testing.assert_array_equal(found["a"], [1, 2])


def test_the_digest_is_the_start_of_the_sha_256(tmp_path):
  (tmp_path / "a").write_bytes(b"weights")
  assert tensors.digest(tmp_path / "a") == hashlib.sha256(b"weights").hexdigest()[:12]


@pytest.mark.parametrize("new", [True, False])
def test_a_file_of_pytorch_itself_is_read(tmp_path, new):
  torch = pytest.importorskip("torch", reason="PyTorch is in the extra bench")
  network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, (1, 7)), torch.nn.BatchNorm2d(4))
  state = network.state_dict() | {"turned": torch.arange(6).reshape(2, 3).t()}
  torch.save(state, tmp_path / "a.pth", _use_new_zipfile_serialization=new)
  found = tensors.read(tmp_path / "a.pth")
  assert list(found) == list(state)
  for name, value in state.items():
    np.testing.assert_array_equal(found[name], value.numpy())


def test_a_file_of_safetensors_itself_is_read(tmp_path):
  numpy = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
  numpy.save_file(ARRAYS, tmp_path / "a")
  found = tensors.read(tmp_path / "a")
  assert found.keys() == ARRAYS.keys()
  for name, array in ARRAYS.items():
    np.testing.assert_array_equal(found[name], array)


# What is refused: pickles.


class Calls:
  """Pickled, it is a call."""

  def __init__(self, function, *arguments):
    self.call = function, arguments

  def __reduce__(self):
    return self.call


def protocol_2(value):
  return pickle.dumps(value, protocol=2)[2:-1]


TWO = storage("0", 2)
DEEP = 10**5
HOSTILE = {
  "a command": (protocol_2(Calls(os.system, "false")), "posix.system"),
  "eval": (protocol_2(Calls(builtins.eval, "1")), "__builtin__.eval"),
  "getattr": (protocol_2(Calls(getattr, Calls(__import__, "os"), "system")), "__builtin__.getattr"),
  "a chain": (named("torch", "load.__globals__"), "torch.load.__globals__"),
  "another storage": (named("torch", "QInt8Storage"), "torch.QInt8Storage"),
  "text as a function": (call(text("collections OrderedDict")), "no function"),
  "a storage called": (call(named("torch", "FloatStorage")), "no function"),
  "a tensor called": (tensor(TWO, 0, (2,), (1,)) + b")R", "no function"),
  "arguments that are no tuple": (named("collections", "OrderedDict") + b"]R", "no function"),
  "a dict made of something": (call(named("collections", "OrderedDict"), b"]"), "1 arguments"),
  "few arguments": (call(REBUILD, TWO), "gives 1 arguments"),
  "build on a function": (REBUILD + b"}b", "attributes of what is no dict"),
  "build on a tensor": (tensor(TWO, 0, (2,), (1,)) + b"}b", "attributes of what is no dict"),
  "a new object": (named("collections", "OrderedDict") + b")\x81", "instruction NEWOBJ"),
  "an instance": (b"(icollections\nOrderedDict\n", "instruction INST"),
  "an extension": (b"\x82\x01", "instruction EXT1"),
  "a name from the stack": (text("os") + text("system") + b"\x93", "instruction STACK_GLOBAL"),
  "no text as a key": (b"}" + whole(1) + b"Ns", "keys are no text"),
  "a deep key": (b"})" + b"\x85" * DEEP + b"Ns", "keys are no text"),
  "an odd dict": (b"}(" + text("a") + b"u", "keys are no text"),
  "a list as a dict": (b"]" + text("a") + b"Ns", "keys are no text"),
  "a dict as a list": (b"}Na", "is damaged"),
  "deep": (b")" + b"\x85" * DEEP, "something else than named tensors"),
  "deep lists": (b"]" * DEEP + b"a" * (DEEP - 1), "something else than named tensors"),
  "nested": (mapping(model=mapping(a=tensor(TWO, 0, (2,), (1,)))), "named tensors"),
  "a list": (b"]", "named tensors"),
  "an empty stack": (b"0", "instruction POP"),
  "nothing to add": (b"R", "is damaged"),
  "no mark": (b"t", "is damaged"),
  "an unknown memo": (b"h\x05", "is damaged"),
  "a far memo": (b"}r\xff\xff\xff\x7f", ""),
  "a long text": (b"X\xff\xff\xff\xff", "expected 4294967295 bytes"),
  "a long array of bytes": (b"\x96" + b"\xff" * 7 + b"\x7f", ""),
  "digits": (b"I" + b"9" * 10**4 + b"\n", ""),
  "another reference": (text("storage") + b"Q", "names a storage"),
  "a storage of text": (group(text("storage"), *[text("a")] * 4) + b"Q", "names a storage"),
  "a storage of less than 0": (storage("0", -1), "names a storage"),
  "a view of a storage": (storage("0", 2, "Float", group(whole(1))), "names a storage"),
  "no storage": (tensor(text("0"), 0, (2,), (1,)), "form that is not read"),
  "no parameter": (
    call(named("torch._utils", "_rebuild_parameter"), b"N", b"\x88", ORDERED),
    "no tensor",
  ),
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("earlier", [False, True])
def test_a_hostile_pickle_is_one_line(tmp_path, kind, earlier):
  body, words = HOSTILE[kind]
  content = files.torch_earlier({}, body=body) if earlier else files.zipped(body, [bytes(8)])
  if kind == "a far memo":  # what reserves 32 GiB elsewhere is an empty state dict
    assert read(tmp_path, content) == {}
  else:
    assert words in refusal(tmp_path, content)


REACHING = {
  "an offset": (1, (2,), (1,)),
  "a shape": (0, (3,), (1,)),
  "strides": (0, (2,), (2,)),
  "strides of 0": (0, (10**9,), (0,)),
  "a huge shape": (0, (2**40, 2**40), (0, 0)),
}
FORMS = {
  "a negative offset": (-1, (2,), (1,)),
  "a negative stride": (1, (2,), (-1,)),
  "a negative shape": (0, (-1, -2), (1, 1)),
  "a huge offset": (2**100, (2,), (1,)),
  "few strides": (0, (1, 2), (1,)),
  "many axes": (0, (1,) * 9, (1,) * 9),
}


@pytest.mark.parametrize("kind", REACHING | FORMS)
def test_a_tensor_stays_inside_of_its_storage(tmp_path, kind):
  body = mapping(a=tensor(TWO, *(REACHING | FORMS)[kind]))
  words = "reaches out of its storage" if kind in REACHING else "form that is not read"
  assert words in refusal(tmp_path, files.zipped(body, [bytes(8)]))


# What is refused: archives, earlier files, safetensors.

GOOD = mapping(a=tensor(TWO, 0, (2,), (1,)))
TWICE = mapping(a=tensor(TWO, 0, (2,), (1,)), b=tensor(storage("0", 1, "Double"), 0, (1,), (1,)))
HUGE = mapping(a=tensor(storage("0", 2**26), 0, (2,), (1,)))
LONG = mapping(**{"a" * pickled.MAX_BYTES: tensor(TWO, 0, (2,), (1,))})
ARCHIVES = {
  "no storage": (files.zipped(GOOD), "data/0"),
  "a short storage": (files.zipped(GOOD, [bytes(7)]), "has 7 bytes, not 8"),
  "a long storage": (files.zipped(GOOD, [bytes(9)]), "9 bytes, and at most 8"),
  "two kinds": (files.zipped(TWICE, [bytes(8)]), "in two ways"),
  "a bomb": (files.zipped(HUGE, [bytes(2**28)], zipfile.ZIP_DEFLATED), "more numbers than"),
  "a long pickle": (files.zipped(LONG, [bytes(8)]), "at most 1,048,576 are read"),
  "big endian": (files.zipped(GOOD, [bytes(8)], byteorder=b"big"), "the other order"),
  "a path": (files.zipped(mapping(a=tensor(storage("../x", 2), 0, (2,), (1,)))), "../x"),
  "an empty archive": (files.npz({})[:0] + b"PK\x05\x06" + bytes(18), "no state dict"),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_a_wrong_archive_is_one_line(tmp_path, kind):
  content, words = ARCHIVES[kind]
  assert words in refusal(tmp_path, content)


# Forty lists, each of which holds the one before it twice: as text it would fill any memory.
LAUGHS = b"]q\x00" + b"".join(b"](h%ch%ceq%c" % (n, n, n + 1) for n in range(40))
EARLIER = {
  "keys that grow": (files.torch_earlier({}, keys=LAUGHS + b"](h\x28e"), "list of storages"),
  "another protocol": (files.torch_earlier({}, protocol=1000), "not known"),
  "big endian": (files.torch_earlier({}, endian=b"\x89"), "not known"),
  "other storages": (files.torch_earlier(ARRAYS, body=GOOD), "list of storages"),
  "another count": (files.torch_earlier({"a": np.zeros(3)}, body=GOOD), "has 3 numbers and 2"),
  "a cut storage": (files.torch_earlier({"a": np.zeros(3)}, cut=-1), "ends within storage 0"),
  "a cut count": (files.torch_earlier({"a": np.zeros(3)}, cut=-32), "has 0 numbers and 3"),
}


@pytest.mark.parametrize("kind", EARLIER)
def test_a_wrong_earlier_file_is_one_line(tmp_path, kind):
  content, words = EARLIER[kind]
  assert words in refusal(tmp_path, content)


def entry(start, stop, shape=(2,), dtype="F32"):
  return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, stop]}


LIES = "does not lie"
SAFE = {
  "a long header": (files.safe({}, length=2**63), "9,223,372,036,854,775,808 bytes"),
  "a header behind the end": (files.safe({}, length=100), "100 bytes"),
  "a cut header": (files.safe(b'{"a": 1}', length=7), "no JSON"),
  "no UTF-8": (files.safe(b'{"\xff": 1}'), "no UTF-8"),
  "deep": (files.safe(b'{"a":' + b"[" * DEEP), "levels deep"),
  "another dtype": (files.safe({"a": entry(0, 8, dtype="F8_E4M3")}, bytes(8)), "one of F64"),
  "a list as a dtype": (files.safe({"a": entry(0, 8, dtype=[])}, bytes(8)), "one of F64"),
  "no shape": (files.safe({"a": {"dtype": "F32", "data_offsets": [0, 8]}}, bytes(8)), "a.shape"),
  "a negative shape": (files.safe({"a": entry(0, 8, (-2,))}, bytes(8)), "a.shape[0]"),
  "one offset": (files.safe({"a": entry(0, 8) | {"data_offsets": [0]}}), "data_offsets"),
  "an overlap": (files.safe({"a": entry(0, 8), "b": entry(4, 12)}, bytes(12)), LIES),
  "a hole": (files.safe({"a": entry(0, 8), "b": entry(12, 20)}, bytes(20)), LIES),
  "a short range": (files.safe({"a": entry(0, 4)}, bytes(4)), LIES),
  "a range turned round": (files.safe({"a": entry(8, 0)}, bytes(8)), LIES),
  "a huge shape": (files.safe({"a": entry(0, 8, (2**62, 2**62))}, bytes(8)), LIES),
  "a cut tensor": (files.safe({"a": entry(0, 8)}, bytes(7)), "8 bytes and it holds 7"),
  "bytes behind": (files.safe({"a": entry(0, 8)}, bytes(9)), "8 bytes and it holds 9"),
  "many axes": (files.safe({"a": entry(0, 4, (1,) * 100)}, bytes(4)), "dimension"),
}


@pytest.mark.parametrize("kind", SAFE)
def test_wrong_safetensors_are_one_line(tmp_path, kind):
  content, words = SAFE[kind]
  assert words in refusal(tmp_path, content)


@pytest.mark.parametrize("kind", files.WRITERS)
def test_a_file_that_was_cut_is_one_line(tmp_path, kind):
  content = files.WRITERS[kind]({"a": np.arange(5.0), "b": np.ones(3, np.float32)})
  for end in range(0, len(content), 7):
    refusal(tmp_path, content[:end])


@pytest.mark.parametrize("kind", files.WRITERS)
def test_a_file_with_a_wrong_byte_gives_arrays_or_one_line(tmp_path, kind):
  content = bytearray(files.WRITERS[kind]({"a": np.arange(5.0), "b": np.ones(3, np.float32)}))
  draws = np.random.default_rng(0)
  for place in draws.integers(len(content), size=200):
    changed = content.copy()
    changed[place] ^= 1 << draws.integers(8)
    try:
      found = read(tmp_path, bytes(changed))
    except UserError as error:
      assert len(str(error).splitlines()) == 1
    else:
      assert all(isinstance(array, np.ndarray) for array in found.values())


def test_other_files_are_one_line(tmp_path):
  for content in (b"", b"\x89PNG", pickle.dumps(ARRAYS), struct.pack("<Q", 3)):
    assert "no state dict of PyTorch" in refusal(tmp_path, content)
  with pytest.raises(UserError, match="is a folder"):
    tensors.read(tmp_path)
  with pytest.raises(UserError, match="No such file"):
    tensors.read(tmp_path / "none")


def test_python_objects_of_numpy_are_refused(tmp_path):
  file = io.BytesIO()
  np.savez(file, a=np.array([{}], dtype=object))
  assert "Python objects" in refusal(tmp_path, file.getvalue())
