"""Formulas as the registries write them, in plain text: parsed once, for pages and for tests.

What a page shows as TeX is the very tree that tests evaluate beside the function. The notation is
that of the registries: a product is written side by side, a quotient binds closer than a product, a
name that stands directly before a parenthesis is a function of what is inside, and a known function
without one takes the factor that follows: `log p/q` is log(p/q).
"""

import re
from typing import NamedTuple

# Functions that need no parentheses, and how TeX writes them.
FUNCTIONS = {
  "softplus": r"\operatorname{softplus}",
  "relu": r"\operatorname{relu}",
  "sign": r"\operatorname{sign}",
  "mean": r"\operatorname{mean}",
  "exp": r"\exp",
  "log": r"\log",
  "tanh": r"\tanh",
  "max": r"\max",
  "sum": r"\sum",
  "grad": r"\nabla",
  "E_p": r"\mathbb{E}_p",
  "E_q": r"\mathbb{E}_q",
  "sqrt": r"\sqrt",
  "LambertW": r"W_0",
}
# Names of more than one letter; each letter is a name of its own.
NAMES = {"constant": r"\mathrm{constant}", "x^": r"\hat{x}", "gamma": r"\gamma", "chi2": r"\chi^2"}
NAMES |= {name: rf"\mathrm{{{name}}}" for name in ("JSD", "KL", "TV", "AE", "MMD")}
NAMES |= {"W1": "W_1", "infinity": r"\infty"}
PAIRS = {"(": ")", "[": "]", "|": "|"}
_NEED_NO_PARENTHESES = ("name", "number", "norm", "quotient", "power")
TOKEN = re.compile(r"\s*(x\^(?=[\s)])|E_[pq]|\d+(?:\.\d+)?|[A-Za-z]+\d?'?|[-+*/^=,()\[\]|])")


class Node(NamedTuple):
  """A part of a formula.

  Attributes:
    kind: "number", "name", "call", "group", "norm", "power", "quotient", "product", "sum",
      "minus" or "equals".
    text: of a number or a name; of a call the function; of a group its opening bracket.
    parts: what it is made of.
  """

  kind: str
  text: str = ""
  parts: tuple["Node", ...] = ()


class NotAFormula(ValueError):
  """A text is none."""


def parse(text: str) -> Node:
  """Returns the tree of a formula.

  Raises:
    NotAFormula: the text is none, such as words.
  """
  reader = _Reader(text)
  node = reader.sum()
  if reader.take("="):
    node = Node("equals", parts=(node, reader.sum()))
  if reader.left:
    raise NotAFormula(text)
  return node


class _Reader:
  """Reads a formula from left to right."""

  def __init__(self, text: str):
    self.left: list[tuple[str, bool]] = []  # tokens, and whether a space is before each
    place = 0
    while place < len(text.rstrip()):
      if not (found := TOKEN.match(text, place)):
        raise NotAFormula(text)
      self.left.append((found[1], found.start(1) > found.start()))
      place = found.end()

  def take(self, *tokens: str) -> str:
    """Takes the next token if it is one of these, else returns ""."""
    return self.left.pop(0)[0] if self.left and self.left[0][0] in tokens else ""

  def sum(self) -> Node:
    parts = [self._signed()]
    while sign := self.take("+", "-"):
      term = self._product()
      parts.append(Node("minus", parts=(term,)) if sign == "-" else term)
    return Node("sum", parts=tuple(parts)) if len(parts) > 1 else parts[0]

  def _signed(self) -> Node:
    return Node("minus", parts=(self._product(),)) if self.take("-") else self._product()

  def _product(self) -> Node:
    parts = [self._quotient()]
    while self.left and self._begins():
      parts.append(self._quotient())
    return Node("product", parts=tuple(parts)) if len(parts) > 1 else parts[0]

  def _begins(self) -> bool:
    """Whether a factor comes: a bar after a space, or at the start, opens a norm."""
    token, spaced = self.left[0]
    return token[0].isalnum() or token in "([" or (token == "|" and spaced)

  def _quotient(self) -> Node:
    node = self._power()
    while self.take("/"):
      node = Node("quotient", parts=(node, self._power()))
    return node

  def _power(self) -> Node:
    node = self._atom()
    if self.take("^"):
      exponent = Node("minus", parts=(self._atom(),)) if self.take("-") else self._atom()
      node = Node("power", parts=(node, exponent))
    return node

  def _atom(self) -> Node:
    if not self.left:
      raise NotAFormula("it ends early")
    token, _ = self.left.pop(0)
    if token in PAIRS:
      return self._bracketed(token)
    if token[0].isdigit():
      return Node("number", token)
    if token in FUNCTIONS or (self.left and self.left[0] == ("(", False)):
      return self._call(token)
    if token in NAMES or (token[0].isalpha() and len(token.rstrip("'")) == 1):
      return Node("name", token)
    raise NotAFormula(token)

  def _bracketed(self, opening: str) -> Node:
    inside = self.sum()
    if not self.take(PAIRS[opening]):
      raise NotAFormula(f"{opening} is not closed")
    return Node("norm" if opening == "|" else "group", opening, (inside,))

  def _call(self, name: str) -> Node:
    if name not in FUNCTIONS and name not in NAMES and len(name) > 1:
      raise NotAFormula(name)
    if not (self.left and self.left[0] == ("(", False)):
      return Node("call", name, (self._quotient(),))
    self.left.pop(0)
    parts = [self.sum()]
    while self.take(","):
      parts.append(self.sum())
    if not self.take(")"):
      raise NotAFormula(f"{name}( is not closed")
    return Node("call", name, tuple(parts))


def tex(node: Node) -> str:
  """Returns a tree as TeX."""
  if node.kind == "name":
    return NAMES.get(node.text, node.text)
  if node.kind == "call":
    return _tex_of_call(node)
  if node.kind == "quotient":
    return rf"\frac{{{_bare(node.parts[0])}}}{{{_bare(node.parts[1])}}}"
  inside = [tex(part) for part in node.parts]
  if node.kind == "sum":
    return " ".join([inside[0], *(_added(each) for each in inside[1:])])
  return {
    "number": lambda: node.text,
    "group": lambda: rf"\left{node.text} {inside[0]} \right{PAIRS.get(node.text)}",
    "norm": lambda: rf"\left\lVert {inside[0]} \right\rVert",
    "power": lambda: f"{{{inside[0]}}}^{{{inside[-1]}}}",
    "product": lambda: r" \, ".join(inside),
    "minus": lambda: f"-{inside[0]}",
    "equals": lambda: " = ".join(inside),
  }[node.kind]()


def _tex_of_call(node: Node) -> str:
  name = FUNCTIONS.get(node.text) or NAMES.get(node.text, node.text)
  if node.text == "s":  # the sigmoid
    name = r"\sigma"
  if node.text == "sqrt":
    return rf"\sqrt{{{_bare(node.parts[0])}}}"
  if len(node.parts) == 1 and node.text == "grad":
    return rf"\nabla {tex(node.parts[0])}"
  bare = len(node.parts) == 1 and node.parts[0].kind in _NEED_NO_PARENTHESES
  inside = ", ".join(map(tex, node.parts))
  return (
    rf"{name}\, {inside}" if bare and node.text in FUNCTIONS else rf"{name}\left( {inside} \right)"
  )


def _added(term: str) -> str:
  return f"- {term[1:]}" if term[0] == "-" else f"+ {term}"


def _bare(node: Node) -> str:
  """A tree as TeX without the parentheses around it, which a fraction or a root does not need."""
  return tex(node.parts[0] if node.kind == "group" else node)
