"""Run folders as one archive, as workers and the command send them to each other."""

import contextlib
import io
import pathlib
import tarfile


def pack(folder: pathlib.Path, names: list[str]) -> bytes:
  """Returns those of the named folders that are there as an archive.

  Checkpoints come first: records are then at least as long as the newest of them needs. What a
  trainer deletes meanwhile is left out, and so are links: those of other programs may lead out.
  """
  paths = [path for name in names for path in sorted((folder / name).rglob("*"))]
  files = [path for path in paths if path.is_file() and not path.is_symlink()]
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
