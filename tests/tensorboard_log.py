"""Event files of a run folder as TensorBoard reads them."""

import collections
import struct

import pytest


def files(folder):
  """Event files of a run in the order in which they are read."""
  return sorted((folder / "tensorboard").iterdir())


def records(path):
  """The whole records of a file: a process that was killed may have left a part of one behind."""
  record_writer = pytest.importorskip("tensorboardX.record_writer", reason="extra tensorboard")
  data = path.read_bytes()
  while len(data) >= 12:
    (size,) = struct.unpack("<Q", data[:8])
    body, rest = data[12 : 12 + size], data[12 + size :]
    if len(rest) < 4:
      return
    assert struct.unpack("<I", rest[:4])[0] == record_writer.masked_crc32c(body)
    yield body
    data = rest[4:]


def events(folder):
  """The events of all sessions in order, as TensorBoard keeps them: a start drops what is later."""
  event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2", reason="extra tensorboard")
  kept = []
  for path in files(folder):
    for event in map(event_pb2.Event.FromString, records(path)):
      if event.session_log.status == event_pb2.SessionLog.START:
        kept = [each for each in kept if each.step < event.step]
      kept.append(event)
  return kept


def values(folder, name):
  """{step: values} of a tag."""
  found = collections.defaultdict(list)
  for event in events(folder):
    for value in event.summary.value:
      if value.tag == name:
        found[event.step].append(value)
  return dict(found)


def hparams_of(folder):
  """What TensorBoard takes for the hyper-parameters of a run."""
  from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

  (value,) = values(folder, "_hparams_/session_start_info")[0][-1:]
  content = HParamsPluginData.FromString(value.metadata.plugin_data.content)
  found = content.session_start_info.hparams
  return {name: getattr(each, each.WhichOneof("kind")) for name, each in found.items()}
