"""Words of the registries and of the pages in `docs`, as Markdown."""

import re
from collections.abc import Callable, Iterator, Mapping

from experiments.catalogue.formula import NotAFormula, parse, tex

LEGEND = (
  "$r = D(x)$ and $f = D(G(z))$ are the logits of data and of samples, $\\sigma$ is the sigmoid, "
  "$p$ the density of the data and $q$ that of the samples."
)
LEGEND_OF_OUTPUTS = (
  "$h$ are features of the discriminator, $L$ is the error of an autoencoder, $r$ and $f$ are "
  "logits of data and of samples; primed is another example of the batch."
)
# Words before a formula that stay words.
BEFORE = re.compile(
  r"^(?:smoothed: |nonsat: |no closed form: |with |(?:the )?gradient of |Pearson |Neyman )"
)
AFTER = re.compile(r"(?: over .+| is D's optimum| of the generator| for [DG]|)$")
ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")
MARKS = re.compile(r"([\\`*_|<>$\[\]])")
CODE = re.compile(r"`(\w+)`")


def shown(text: str) -> str:
  """Returns a line of a registry, its formulas as TeX within the line and its words as words."""
  return "".join(separator + _inline(clause) for separator, clause in _clauses(text))


def displayed(text: str) -> str:
  """Returns the same with what stands first on a line of its own, where it is a formula."""
  (_, first), *rest = _clauses(text)
  formula = _clause(first, lambda found: f"\n$$\n{found}\n$$\n").strip()
  others = "".join(f"{separator}{_inline(each)}" for separator, each in rest)
  if not formula.startswith("$$"):
    return formula + others
  return f"{formula}\n\n{others.lstrip(';, ')}".strip()


def _clauses(text: str) -> Iterator[tuple[str, str]]:
  """(separator before it, clause), parted at commas and semicolons outside of brackets."""
  start, depth, separator = 0, 0, ""
  for place, letter in enumerate(text):
    depth += (letter in "([") - (letter in ")]")
    if letter in ",;" and not depth:
      yield separator, text[start:place].strip()
      start, separator = place + 1, f"{letter} "
  yield separator, text[start:].strip()


def _inline(clause: str) -> str:
  return _clause(clause, lambda formula: f"${formula}$")


def _clause(clause: str, as_formula: Callable[[str], str]) -> str:
  before = BEFORE.match(clause)
  start, end = before.end() if before else 0, AFTER.search(clause).start()
  try:
    formula = tex(parse(clause[start:end]))
  except NotAFormula:
    return escaped(clause)
  return f"{clause[:start]}{as_formula(formula)}{clause[end:]}"


def escaped(text: str) -> str:
  """Returns plain text as Markdown that shows it as it is."""
  return MARKS.sub(r"\\\1", text)


def advice(text: str, places: Mapping[str, str]) -> str:
  """Returns plain text as Markdown, the names in its backquotes as links to their pages.

  Args:
    text: when a part is chosen.
    places: of pages from the page with the text, by name; others are shown as code.
  """
  pieces = CODE.split(text)  # words and names by turns
  pieces[::2] = map(escaped, pieces[::2])
  pieces[1::2] = [
    f"[`{name}`]({places[name]})" if name in places else f"`{name}`" for name in pieces[1::2]
  ]
  return "".join(pieces)


def linked(source: str) -> str:
  """Returns a source with links to its papers and repositories."""
  text = ARXIV.sub(r"[arXiv:\1](https://arxiv.org/abs/\1)", source)
  return re.sub(r"(?<!\()(https://(?!arxiv)\S+)", r"<\1>", text)


def sentence(text: str) -> str:
  """Returns a line that begins in the lower case as a sentence."""
  return f"{text[:1].upper()}{text[1:]}."


def rows(page: str, head: str) -> dict[str, list[list[str]]]:
  """Returns the rows of a table of a page, each its cells, by each name in the first cell.

  Args:
    page: its Markdown.
    head: how the line of heads begins, as it is written: "preset | difference".
  """
  lines = page.split(f"\n| {head} |", 1)[1].split("\n\n")[0].splitlines()[2:]
  found: dict[str, list[list[str]]] = {}
  for line in lines:
    cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
    for name in re.findall(r"`([^`]+)`", cells[0]):
      found.setdefault(name.split(":")[0], []).append(cells)
  return found


def from_below(text: str, page: str) -> str:
  """Returns Markdown of a page of `docs` for a page one folder further down."""
  text = re.sub(r"\]\(#", f"]({page}#", text)
  return re.sub(r"\]\((?!https?:|\.\./)", "](../", text)
