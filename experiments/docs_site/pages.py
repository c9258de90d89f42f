"""Every page and file of the site that is generated, by its place in the site."""

from collections.abc import Callable

from experiments.catalogue import pages as catalogue
from experiments.docs_site import api, front, styles

# Each is a function () -> {place, such as "losses/hinge.md": text}.
GENERATORS: tuple[Callable[[], dict[str, str]], ...] = (
  front.pages,
  api.pages,
  catalogue.pages,
  styles.pages,
)


def written() -> dict[str, str]:
  """Returns the text of each generated file; the same whenever the code is the same."""
  return {place: text for pages in GENERATORS for place, text in pages().items()}
