"""Run folders as one archive, as workers and the command send them to each other."""

import contextlib
import io
import pathlib
import tarfile


def pack(folder: pathlib.Path, names: list[str]) -> bytes:
  """Returns those of the named folders that are there as an archive.

  Checkpoints come first: records are then at least as long as the newest of them needs. What a
  trainer deletes meanwhile is left out.
  """
  files = [file for name in names for file in sorted((folder / name).rglob("*")) if file.is_file()]
  files.sort(key=lambda file: "checkpoints" not in file.parts)
  stream = io.BytesIO()
  with tarfile.open(fileobj=stream, mode="w") as archive:
    for file in files:
      with contextlib.suppress(FileNotFoundError):
        archive.add(file, file.relative_to(folder))
  return stream.getvalue()


def unpack(archive: bytes, folder: pathlib.Path) -> None:
  """Writes what `pack` returned into a folder."""
  with tarfile.open(fileobj=io.BytesIO(archive)) as stream:
    stream.extractall(folder, filter="data")
