"""The version of a run folder's layout, MAJOR.MINOR, which config.json states.

Major: a reader of the version before would take something for what it is not, or miss it: a file,
a field or a unit has another meaning, place or name. Minor: something was added, which a reader of
the version before passes over. Folders of every version up to this one open.
"""

import os
import pathlib

from gan.errors import UserError
from gan.system import schema

FIELD = "run_format"
FORMAT = "1.1"  # 1.0 is that of folders which state none
_MAJOR = int(FORMAT.partition(".")[0])
_KIND = schema.matching(r"[0-9]{1,6}\.[0-9]{1,6}", f'a version such as "{FORMAT}"')


def check(config: str | os.PathLike, remedy: str) -> None:
  """Raises UserError where a run folder is of a later major version, or states none that is one.

  Args:
    config: its config.json, which may be absent.
    remedy: what the user can do where the file is damaged.
  """
  path = pathlib.Path(config)
  stated = schema.read(path, schema.entries(optional={FIELD: _KIND}), remedy) or {}
  version = stated.get(FIELD, FORMAT)
  if int(version.partition(".")[0]) > _MAJOR:
    raise UserError(
      f"{path.parent} is a run folder of version {version}, and versions up to {_MAJOR}.x are read "
      "here: use the gan that wrote it, or a later one"
    )
