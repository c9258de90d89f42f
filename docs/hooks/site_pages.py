"""What MkDocs does beside reading `docs/`: generated pages, notebooks, MathJax from its package."""

import fnmatch
import pathlib
import re
import textwrap

import mathjax
import nbconvert
from mkdocs.structure.files import File

from experiments.docs_site import pages, rooms

MATHJAX = pathlib.Path(mathjax.__path__[0]) / "static" / "mathjax"
MATHJAX_FILES = {
  "tex-svg-full.js": MATHJAX / "es5" / "tex-svg-full.js",
  "LICENSE": MATHJAX / "LICENSE",
}

LONGEST = 160  # letters of a description that search engines show
PARAGRAPH = re.compile(r"<p>(.*?)</p>", re.DOTALL)


def on_files(files, config):
  for uri, text in pages.written().items():
    files.append(File.generated(config, uri, content=text))
  for uri, content in notebooks(pathlib.Path(config.docs_dir)).items():
    files.append(File.generated(config, uri, content=content))
  for name, path in MATHJAX_FILES.items():
    files.append(File.generated(config, f"javascripts/mathjax/{name}", abs_src_path=str(path)))
  config.nav = expanded(config.nav, [file.src_uri for file in files.documentation_pages()])
  return files


def on_page_markdown(markdown, **kwargs):
  markdown = markdown.replace(".ipynb)", ".md)")
  return markdown.replace(rooms.MARK, rooms.drawn()) if rooms.MARK in markdown else markdown


def on_page_content(html, page, **kwargs):
  page.meta.setdefault("description", description(html))
  return html


def description(html):
  """The words with which a page begins; None of a page without a paragraph."""
  if not (found := PARAGRAPH.search(html)):
    return None
  words = " ".join(re.sub("<[^>]+>", "", found[1]).split()).replace('"', "&quot;")
  return textwrap.shorten(words, LONGEST, placeholder=" ...")


def notebooks(docs):
  """Each notebook of the docs as a page, with what it printed and drew when it was saved."""
  pages = {}
  for path in sorted((docs / "tutorials").glob("*.ipynb")):
    names = {"unique_key": path.stem, "output_files_dir": f"{path.stem}_files"}
    text, made = nbconvert.MarkdownExporter().from_filename(str(path), resources=names)
    pages |= {f"tutorials/{name}": content for name, content in made["outputs"].items()}
    pages[f"tutorials/{path.stem}.md"] = text
  return pages


def expanded(nav, uris):
  """The tree of the navigation with the pages that its patterns stand for, by their names."""
  if isinstance(nav, list):
    return [leaf for entry in nav for leaf in _leaves(expanded(entry, uris))]
  if isinstance(nav, dict):
    return {title: expanded(entry, uris) for title, entry in nav.items()}
  if "*" not in nav and not nav.endswith("/"):
    return nav
  found = fnmatch.filter(uris, f"{nav}*" if nav.endswith("/") else nav)
  return sorted(uri for uri in found if uri != f"{nav}index.md")


def _leaves(entry):
  return entry if isinstance(entry, list) else [entry]
