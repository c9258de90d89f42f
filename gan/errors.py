"""The one exception for what a user can put right."""


class UserError(Exception):
  """Wrong input: the message says in one line what, which choices there are, and how to fix it.

  Commands print the message without a traceback and exit with a code that is not 0.
  """
