"""Programs in the forms of no platform, for runtimes that JAX does not lower for."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.extend import core

# Calls whose bodies stand for them where no derivative is taken.
_CALLS = {"jit": "jaxpr", "custom_jvp_call": "call_jaxpr", "custom_vjp_call": "call_jaxpr"}


def without_platforms(function: Callable[..., Any]) -> Callable[..., Any]:
  """Returns a function that does the same by the default of each `lax.platform_dependent`.

  Calls within it are written out, custom derivatives too.

  Args:
    function: of arrays; returns one.
  """

  def plain(*arguments: Any) -> Any:
    closed = jax.make_jaxpr(function)(*arguments)
    (result,) = _evaluated(closed, arguments)
    return result

  return plain


def _evaluated(closed: core.ClosedJaxpr, arguments: Any) -> list[Any]:
  jaxpr = closed.jaxpr
  known = dict(zip(jaxpr.constvars, closed.consts, strict=True))
  known |= dict(zip(jaxpr.invars, arguments, strict=True))

  def value(variable):
    return variable.val if isinstance(variable, core.Literal) else known[variable]

  for equation in jaxpr.eqns:
    results = _results(equation, [*map(value, equation.invars)])
    known |= dict(zip(equation.outvars, results, strict=True))
  return [*map(value, jaxpr.outvars)]


def _results(equation: Any, operands: list[Any]) -> list[Any]:
  name, params = equation.primitive.name, equation.params
  if name == "platform_index":
    return [np.int32(0)]  # read by the choice between forms alone
  if name == "cond" and params.get("branches_platforms"):
    default = params["branches_platforms"].index(None)
    return _evaluated(params["branches"][default], operands[1:])
  if name in _CALLS:
    return _evaluated(params[_CALLS[name]], operands)
  results = equation.primitive.bind(*operands, **params)
  return results if equation.primitive.multiple_results else [results]
