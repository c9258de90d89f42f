"""Figures as SVG: short, with values under the pointer, and with colours that a page may set.

Matplotlib knows colours, a page knows parts: ink, lines, a series. Inside a page each colour of
`plots.LIGHT` is the CSS variable of its part, to which a dark page gives that of `plots.DARK`.
"""

import io
import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from xml.etree.ElementTree import Element

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from gan.report import plots

_SVG = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"
_PLACES = ("d", "x", "y")


def from_figure(figure: Figure, name: str) -> Element:
  """Returns a figure as SVG, the same for equal figures.

  Text stays text, which can be searched; numbers have the digits that a pixel shows.

  Args:
    figure: drawn.
    name: of no other figure of the page: identifiers follow from it.
  """
  stream = io.StringIO()
  with matplotlib.rc_context(plots.SETTINGS | {"svg.hashsalt": name}):
    FigureCanvasSVG(figure).print_svg(stream, metadata={"Date": None, "Creator": None})
  root = ElementTree.fromstring(stream.getvalue())
  root.remove(root.find(f"{_SVG}metadata"))
  for element in [*root.iter()]:
    _shorten(element)
  return root


def _shorten(element: Element) -> None:
  element.tag = element.tag.removeprefix(_SVG)
  if element.tag != "tspan":  # in which a space is a letter
    element.text, element.tail = (element.text or "").strip() or None, None
  if link := element.attrib.pop(_LINK, None):
    element.set("href", link)
  for name in {*_PLACES} & {*element.attrib}:
    element.set(name, _rounded(element.get(name)))
  if element.tag == "g":
    _tell(element, element.attrib.pop("id", ""))
    _share_style(element)


def _rounded(text: str) -> str:
  text = re.sub(r"\d+\.\d+", lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), text)
  return " ".join(text.split())


def _tell(group: Element, name: str) -> None:
  """Puts in the texts that `plots.hover` left in the identifier of a group."""
  if not name.startswith(plots.HOVER):
    return
  texts = json.loads(name.removeprefix(plots.HOVER))
  told = [group] if len(texts) == 1 else group.findall(f".//{_SVG}use")
  if len(told) != len(texts):  # some lie outside of their panel, and nothing says which
    return
  for element, text in zip(told, texts, strict=True):
    title = ElementTree.Element("title")
    title.text = text
    element.insert(0, title)


def _share_style(group: Element) -> None:
  """Says once what all markers of a group look like."""
  styles = {part.get("style") for part in group}
  if len(group) > 1 and len(styles) == 1 and all(part.tag == f"{_SVG}use" for part in group):
    group.set("style", styles.pop() or "")
    for part in group:
      part.attrib.pop("style", None)


def to_file(root: Element) -> bytes:
  """Returns a figure as a file, in the colours that it was drawn in."""
  return ElementTree.tostring(_within(root, {"xmlns": _SVG.strip("{}")} | root.attrib))


def to_page(root: Element, alt: str) -> str:
  """Returns a figure as part of a page, which sets its colours and its size.

  Args:
    root: the figure, in colours of `plots.LIGHT`.
    alt: what it shows, for those who do not see it.
  """
  parts = {"viewBox": root.get("viewBox"), "role": "img", "aria-label": alt}
  text = ElementTree.tostring(_within(root, parts), encoding="unicode")
  names = {colour: f"var(--{name})" for name, colour in plots.LIGHT.items()}
  return re.sub(
    r"(fill|stroke): (#[0-9a-f]{6})",
    lambda found: f"{found[1]}: {names.get(found[2], found[2])}",
    text,
  )


def variables(colours: Mapping[str, str]) -> str:
  """Returns the variables of CSS that `to_page` leaves to a page."""
  return " ".join(f"--{name}: {colour};" for name, colour in colours.items())


def _within(root: Element, attributes: dict[str, str]) -> Element:
  whole = Element("svg", attributes)
  whole.extend(root)
  return whole
