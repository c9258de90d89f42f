"""Notebooks of the documentation, executed in a kernel of this Python.

python tests/notebooks.py docs/tutorials/*.ipynb     # writes what they print into them
"""

import os
import pathlib
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
TUTORIALS = ROOT / "docs" / "tutorials"
PATIENCE = 1200  # seconds a cell may take, on a machine that is busy


def executed(path: pathlib.Path, folder: pathlib.Path, environment: dict[str, str]):
  """Returns a notebook, as nbformat reads it, with what its cells print when they are run.

  Args:
    path: of the notebook, which stays as it is.
    folder: where its cells run.
    environment: of its kernel, with this checkout on the path and without data of the machine.

  Raises:
    CellExecutionError: a cell failed.
  """
  import nbclient
  import nbformat

  notebook = nbformat.read(path, as_version=4)
  client = nbclient.NotebookClient(
    notebook,
    timeout=PATIENCE,
    kernel_name="python3",
    record_timing=False,
    resources={"metadata": {"path": str(folder)}},
  )
  return client.execute(env=environment)


def without_data(folder: pathlib.Path) -> dict[str, str]:
  """The environment of a machine with this checkout, without data and without a network."""
  nowhere = "http://127.0.0.1:9"
  kept = {name: value for name, value in os.environ.items() if name != "GAN_DATA_DIR"}
  return kept | {
    "PYTHONPATH": str(ROOT),
    "JAX_PLATFORMS": "cpu",
    "TFDS_DATA_DIR": str(folder / "tfds"),
    "http_proxy": nowhere,
    "https_proxy": nowhere,
  }


def main(paths: list[str]) -> None:
  import nbformat

  for path in map(pathlib.Path, paths):
    with tempfile.TemporaryDirectory() as folder:
      here = pathlib.Path(folder)
      nbformat.write(executed(path, here, without_data(here)), path)


if __name__ == "__main__":
  main(sys.argv[1:])
