"""The site: it builds strictly, fetches nothing from elsewhere, and has every public name."""

import html.parser
import itertools
import json
import os
import re
import subprocess
import sys

import pytest
from conftest import ROOT
from test_imports import ROOMS, gan_imports, module_of, sources, unit_of

import gan
from experiments.docs_site import api, front, rooms, styles
from gan.report import plots

# What a page loads by itself, and the attribute that names it.
LOADED = {("script", "src"), ("img", "src"), ("source", "src"), ("iframe", "src"), ("video", "src")}
LOADED |= {("link", "href"), ("object", "data"), ("embed", "src"), ("image", "href")}


@pytest.fixture(scope="session")
def site(tmp_path_factory):
  """The folder of the site, built once."""
  pytest.importorskip("mkdocs", reason="the site needs the extra: pip install '.[docs]'")
  folder = tmp_path_factory.mktemp("site")
  environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "JAX_PLATFORMS": "cpu"}
  words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder]
  done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
  assert done.returncode == 0, done.stdout + done.stderr
  return folder


class Loads(html.parser.HTMLParser):
  """Collects what a page loads, and the anchors that it has."""

  def __init__(self, page):
    super().__init__()
    self.loads, self.anchors = [], set()
    self.feed(page.read_text(encoding="utf-8"))

  def handle_starttag(self, tag, attributes):
    for name, value in attributes:
      if name == "id":
        self.anchors.add(value)
      elif (tag, name) in LOADED or name == "srcset":
        self.loads.append(value)


def pages_of(site):
  found = sorted(site.rglob("*.html"))
  assert len(found) > 20
  return found


def outside(address):
  return re.match(r"(?:[a-z]+:)?//", address) is not None


def test_pages_load_nothing_from_elsewhere(site):
  loads = {page: Loads(page).loads for page in pages_of(site)}
  assert all(any("javascripts/formulas.js" in one for one in found) for found in loads.values())
  assert not [(page.name, one) for page, found in loads.items() for one in found if outside(one)]


def test_style_sheets_load_nothing_from_elsewhere(site):
  sheets = [path.read_text(encoding="utf-8") for path in site.rglob("*.css")]
  sheets += [
    text
    for page in pages_of(site)
    for text in re.findall(r"<style.*?</style>", page.read_text(), re.S)
  ]
  named = [
    name
    for sheet in sheets
    for name in re.findall(r"""(?:url\(|@import)\s*["']?([^"')\s;]+)""", sheet)
  ]
  assert len(sheets) > 3 and not [name for name in named if outside(name)]


def test_what_pages_load_is_in_the_site(site):
  for page in pages_of(site):
    # That of pages that are not found is read at any place.
    folder, begins = (site, "/") if page.name == "404.html" else (page.parent, "")
    for one in Loads(page).loads:
      path = re.split(r"[?#]", one.removeprefix(begins))[0]
      assert one.startswith("data:") or (folder / path).exists(), (page, one)
  assert (site / "javascripts" / "mathjax" / "tex-svg-full.js").stat().st_size > 1_000_000
  assert "Apache License" in (site / "javascripts" / "mathjax" / "LICENSE").read_text()


def test_every_public_name_has_its_entry_in_the_docs(site):
  door = Loads(site / "api" / "index.html").anchors
  assert {f"gan.{name}" for name in gan.__all__ if name != "__version__"} <= door
  for room in api.ROOMS:
    names = {f"gan.{room}.{name}" for name in api.room_names(room)}
    assert not names or names <= Loads(site / "api" / f"{room}.html").anchors


def test_the_docs_can_be_searched(site):
  index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
  texts = {entry["location"]: entry["text"] for entry in index["docs"]}
  assert "generator" in texts["api/index.html#gan.Game"]
  assert "rooms" in texts["house.html#rooms"]
  words = re.split(index["config"]["separator"], "wgan_gp (0.25): 1e5, -3 of `cifar10`.")
  assert words == ["wgan_gp", "of", "cifar10", ""]


def test_constants_of_the_api_show_a_short_value_in_the_docs(site):
  page = (site / "api" / "losses.html").read_text(encoding="utf-8")
  told = page.split('id="gan.losses.FGAN_GENERATORS"')[1].split("<h3")[0]
  assert "nonsat" in told and "bound" in told
  door = (site / "api" / "index.html").read_text(encoding="utf-8")
  assert "SATURATING" not in door.split('id="gan.LOSSES"')[1].split("<h3")[0]


def test_examples_in_docstrings_are_code_in_the_docs(site):
  pages = [path.read_text(encoding="utf-8") for path in (site / "api").glob("*.html")]
  assert any("&gt;&gt;&gt;" in page for page in pages)
  assert not [page for page in pages if re.search(r"<blockquote>\s*<blockquote>", page)]


def test_pages_of_the_docs_have_a_description_of_their_own(site):
  told = {}
  for page in pages_of(site):
    found = re.search(r'<meta name="description" content="(.+?)"', page.read_text("utf-8"))
    told.setdefault(found[1], []).append(page.name)
  assert len(told) > 0.9 * len(pages_of(site))


def test_notebooks_are_pages_of_the_docs_with_their_pictures(site):
  for path in sorted((ROOT / "docs" / "tutorials").glob("*.ipynb")):
    page = site / "tutorials" / f"{path.stem}.html"
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    drawn = ["image/png" in output.get("data", {}) for output in outputs]
    shown = [one for one in Loads(page).loads if one.startswith(f"{path.stem}_files/")]
    assert len(shown) == sum(drawn) > 0, path
    assert not re.search(r'href="[^"]*\.ipynb"', page.read_text(encoding="utf-8"))


def test_the_docs_show_the_rooms(site):
  page = (site / "house.html").read_text(encoding="utf-8")
  assert rooms.drawn() in page


def test_docs_name_every_module_with_public_names():
  listing = {module_of(path) for path in sources("gan") if "\n__all__ = [" in path.read_text()}
  assert listing - {"gan"} <= {f"gan.{room}" for room in api.ROOMS}


def test_docs_say_what_each_registry_is():
  registries = {name for name in gan.__all__ if name.isupper()}
  assert set(api.registries()) == registries


def imported():
  """(room, room that it imports from) of the house, as the tests of imports read it."""
  pairs = {
    (unit_of(module_of(p)), unit_of(name)) for p in sources("gan") for name in gan_imports(p)
  }
  return {(own, used) for own, used in pairs if own and used and own != used}


def reached(pairs):
  """Which room stands on which, over any number of imports."""
  found = set(pairs)
  while more := {(a, d) for (a, b), (c, d) in itertools.product(found, pairs) if b == c} - found:
    found |= more
  return found


def test_the_drawn_rooms_of_the_docs_are_those_of_the_imports():
  uses = rooms.imports()
  assert set(uses) == set(ROOMS)
  assert {(room, used) for room, found in uses.items() for used in found} == imported()
  fewer = rooms.reduced(uses)
  pairs = {(room, used) for room, found in fewer.items() for used in found}
  assert reached(pairs) == reached(imported())
  assert all(reached(pairs - {pair}) != reached(pairs) for pair in pairs)
  drawn = rooms.drawn()
  assert all(drawn.count(f">{room}</text>") == 1 for room in uses)
  assert drawn.count("<path") == len(pairs)


def test_floors_of_the_drawn_docs_put_a_room_below_what_it_imports():
  uses = rooms.imports()
  floor = {room: n for n, row in enumerate(rooms.floors(uses)) for room in row}
  assert sorted(floor) == sorted(uses)
  assert all(floor[used] < floor[room] for room in uses for used in uses[room])


def test_docs_have_the_colours_of_figures_in_light_and_dark():
  (sheet,) = styles.pages().values()
  light, dark = sheet.splitlines()
  assert plots.LIGHT["ink"] in light and 'scheme="default"' in light
  assert plots.DARK["ink"] in dark and 'scheme="slate"' in dark


def test_links_of_the_readme_lead_within_the_docs():
  text = "[a](docs/losses.md#x) ![b](docs/figures/c.png) [d](LICENSE) [e](https://f.g/docs/h)"
  expected = "[a](losses.md#x) ![b](figures/c.png) [d](LICENSE) [e](https://f.g/docs/h)"
  assert front.moved(text) == expected
  assert "(docs/" not in front.pages()["index.md"]


@pytest.fixture
def hooks():
  """The modules beside the docs that MkDocs imports."""
  pytest.importorskip("mkdocs", reason="the site needs the extra: pip install '.[docs]'")
  sys.path.insert(0, str(ROOT / "docs" / "hooks"))
  import docstrings
  import site_pages

  yield site_pages, docstrings
  sys.path.remove(str(ROOT / "docs" / "hooks"))


def test_patterns_of_the_docs_navigation_stand_for_pages(hooks):
  uris = ["a.md", "b/z.md", "b/index.md", "b/a.md", "study_2.md", "study_1.md"]
  nav = [{"A": "a.md"}, {"B": ["b/index.md", "b/"]}, {"C": ["study_*.md", "a.md"]}]
  assert hooks[0].expanded(nav, uris) == [
    {"A": "a.md"},
    {"B": ["b/index.md", "b/a.md", "b/z.md"]},
    {"C": ["study_1.md", "study_2.md", "a.md"]},
  ]


def test_docs_show_docstrings_as_they_stand_in_the_source(hooks):
  import markdown

  text = (
    "One line, [*batch] and [*batch], a < b > c.\n\n  code(x, *y)\n\nIn `code [*x]` too: |x|*|y|."
  )
  shown = markdown.markdown(hooks[1].as_markdown(text))
  assert "<em>" not in shown and "<b>" not in shown
  plain = html.unescape(re.sub(r"<[^>]+>", "", shown))
  assert plain.split() == text.replace("`", "").split()
  arguments = "Args:\n  **options: of [*x]."
  assert hooks[1].as_markdown(arguments).startswith("Args:\n  **options: of &#91;")
  assert "<code>code [*x]</code>" in shown and "<pre><code>code(x, *y)" in shown


def test_sessions_in_docstrings_stand_in_the_docs_as_they_are(hooks):
  session = "  >>> a[0] < b\n  ...   c * d"
  shown = hooks[1].as_markdown(f"Examples:\n  A term [x]:\n\n{session}")
  assert shown == f"Examples:\n  A term &#91;x&#93;:\n\n{session}"


def test_a_page_of_the_docs_is_described_by_its_first_paragraph(hooks):
  text = '<h1>A</h1>\n<p>Some <a href="b">words</a>\nof "it".</p><p>More.</p>'
  assert hooks[0].description(text) == "Some words of &quot;it&quot;."
  assert hooks[0].description("<h1>A</h1>") is None
