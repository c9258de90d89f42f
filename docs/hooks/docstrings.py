"""Docstrings are plain text; what Markdown would take for its own signs is kept as it stands.

Of data the value is shown where it is short.
"""

import re
import textwrap

import griffe

LONGEST = 120  # letters of a value that is shown

# Code in backquotes and the stars of an argument's name, which stay, and signs that Markdown reads.
SIGNS = re.compile(r"`[^`]*`|^ +\*{1,2}(?=\w)|[*<\[\]$]", re.MULTILINE)


class PlainText(griffe.Extension):
  """Escapes signs of Markdown in sentences, and makes indented blocks code."""

  def on_object(self, *, obj, **kwargs):
    if obj.docstring:
      obj.docstring.value = as_markdown(obj.docstring.value)

  def on_attribute(self, *, attr, **kwargs):
    if len(str(attr.value)) > LONGEST:
      attr.value = None


def as_markdown(text: str) -> str:
  """A docstring whose sentences and formulas look in Markdown as they do in the source."""
  paragraphs = textwrap.dedent(text).split("\n\n")
  return "\n\n".join(map(_paragraph, paragraphs))


def _paragraph(text):
  text, prompt, session = text.partition(">>>")
  if prompt:  # a session at Python's prompt, which ends with its paragraph
    return f"{_escaped(text)}{prompt}{session}"
  if all(line.startswith("  ") for line in text.splitlines()):
    return textwrap.indent(text, "  ")  # code, of at least four spaces
  return _escaped(text)


def _escaped(text):
  return SIGNS.sub(lambda sign: sign[0] if len(sign[0]) > 1 else f"&#{ord(sign[0])};", text)
