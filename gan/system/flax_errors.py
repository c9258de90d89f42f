"""What Flax raises of a module that makes no network, as a line for the user."""

import contextlib
from collections.abc import Iterator

from flax import errors

from gan.errors import UserError

# What a module can do that fails in training (True), and one that fails elsewhere (False).
_REMEDIES = {
  True: 'draw from the stream "dropout", and make all variables with `train=False` too',
  False: "give its `__call__` a parameter `train`, for BatchNorm's `use_running_average=not train` "
  "and Dropout's `deterministic=not train`, and draw numbers in training alone",
}


@contextlib.contextmanager
def as_user_errors(name: str, train: bool) -> Iterator[None]:
  """Within it a UserError says what keeps a module from being a network.

  Args:
    name: of the module's class.
    train: whether it is called in training.
  """
  try:
    yield
  except (
    errors.InvalidRngError,
    errors.ModifyScopeVariableError,
    errors.ScopeCollectionNotFound,
    errors.ScopeParamNotFoundError,
  ) as error:
    reason, _, _ = str(error).partition(" (https:")  # a page of Flax
    reason = reason.removesuffix(".").replace("None needs", "it needs")  # the module itself
    when = "in training" if train else "where it is not trained"
    raise UserError(f"the module {name} fails {when} ({reason}): {_REMEDIES[train]}") from error
