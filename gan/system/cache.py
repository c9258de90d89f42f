"""Where compiled programs, prepared data and features are kept. No JAX is needed here."""

import atexit
import functools
import os
import pathlib
import tempfile


def cache_folder() -> pathlib.Path:
  """Returns the user's cache folder for this package; where none can be made, one of this process.

  A fixed name in the folder of temporary files would be anybody's, and compiled programs lie here.
  """
  return lasting_folder() or _passing_folder()


def lasting_folder() -> pathlib.Path | None:
  """Returns the user's cache folder for this package, or None where none can be made."""
  root = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
  folder = pathlib.Path(root) / "gan"
  try:
    if not folder.is_absolute():  # a user without a home
      return None
    folder.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=folder).close()
    return folder
  except OSError:
    return None


@functools.cache
def _passing_folder() -> pathlib.Path:
  folder = tempfile.TemporaryDirectory(prefix="gan-cache-")
  atexit.register(folder.cleanup)
  return pathlib.Path(folder.name)
