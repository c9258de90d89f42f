"""The colours of figures that are part of a page, on light and on dark paper."""

from gan.report import plots, svg


def pages() -> dict[str, str]:
  """Returns the style sheet that sets the variables of `svg.to_page`."""
  light, dark = svg.variables(plots.LIGHT), svg.variables(plots.DARK)
  return {
    "stylesheets/figures.css": f':root, [data-md-color-scheme="default"] {{ {light} }}\n'
    f'[data-md-color-scheme="slate"] {{ {dark} }}\n'
  }
