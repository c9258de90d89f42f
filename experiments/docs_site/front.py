"""Pages of the site that are files beside `docs/`: the README is its first page."""

import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Files of the checkout, by their place in the site.
FILES = {
  "README.md": "index.md",
  "CHANGELOG.md": "changelog.md",
  "CONTRIBUTING.md": "contributing.md",
  "CITATION.cff": "CITATION.cff",
  "LICENSE": "LICENSE",
}


def pages() -> dict[str, str]:
  """Returns those that there are, with links that lead where the site has the same."""
  there = {ROOT / name: place for name, place in FILES.items() if (ROOT / name).exists()}
  return {place: moved(path.read_text(encoding="utf-8")) for path, place in there.items()}


def moved(text: str) -> str:
  """Returns the Markdown of a file of the checkout as of a page in `docs/`."""
  text = text.replace("](docs/", "](").replace("(docs/figures/", "(figures/")
  for name, place in FILES.items():
    text = text.replace(f"]({name}", f"]({place}")
  return text
