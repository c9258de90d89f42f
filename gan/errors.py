"""The one exception for what a user can put right."""


class UserError(Exception):
  """Wrong input: the message says in one line what, which choices there are, and how to fix it.

  Commands print the message without a traceback and exit with a code that is not 0.

  Args:
    message: one line; what would break it, or act on the terminal, is escaped: names of files and
      values from files may hold anything.
  """

  def __init__(self, message: object = ""):
    super().__init__("".join(map(_printable, str(message))))


def _printable(character):
  if character.isprintable():
    return character
  return character.encode("unicode_escape", "surrogatepass").decode("ascii")
