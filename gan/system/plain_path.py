"""Paths that every library takes as they are."""

import contextlib
import pathlib
import re
import tempfile
from collections.abc import Iterator

from gan.errors import UserError

PLAIN = re.compile(r"[\w./,=+@ -]*", re.ASCII)


@contextlib.contextmanager
def plain_path(folder: pathlib.Path) -> Iterator[pathlib.Path]:
  """Yields a path of a folder that Orbax takes as it is: the folder's own, or a link to it.

  Orbax looks for files by patterns that begin with the folder's path (`glob`), in which `[`, `*`
  and `?` stand for other names; TensorStore refuses `\\` and bytes that are not UTF-8; and etils
  reads `gs:/` anywhere as the address of a bucket.
  """
  if PLAIN.fullmatch(str(folder)):
    yield folder
    return
  with tempfile.TemporaryDirectory(prefix="gan-") as aside:
    link = pathlib.Path(aside) / "checkpoints"
    try:
      if not PLAIN.fullmatch(str(link)):
        raise OSError("the folder for temporary files has such a name, too")
      link.symlink_to(folder, target_is_directory=True)
    except OSError as error:
      raise UserError(
        f"checkpoints cannot be kept in {folder}: its path has characters beside letters, digits "
        f"and ./,=+@_-, and it cannot be given another ({error}): choose another folder"
      ) from error
    yield link
