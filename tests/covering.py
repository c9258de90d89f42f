"""Few combinations of the values of several factors that hold every pair of values."""

import itertools


def pairs_of(row):
  """Pairs of (factor, value) in a row of values, or in a part of one."""
  return {frozenset(pair) for pair in itertools.combinations(row.items(), 2)}


def allowed_pairs(factors, allowed):
  """Every pair of values of two factors that may stand together, in order."""
  return [
    frozenset(((one, a), (other, b)))
    for one, other in itertools.combinations(factors, 2)
    for a, b in itertools.product(factors[one], factors[other])
    if allowed({one: a, other: b})
  ]


def covering(factors, allowed):
  """Returns rows {factor: value} that hold every allowed pair, and no other; always the same ones.

  Each row begins with the first pair that no row has, and takes for each further factor the value
  with the most of such pairs, of equals the one that was taken least.

  Args:
    factors: values by the factor's name, those that restrict others first.
    allowed: whether a part of a row may be, as its pairs may: `allowed({"a": 1, "b": 2})`.
  """
  left, rows = dict.fromkeys(allowed_pairs(factors, allowed)), []
  taken = {(name, value): 0 for name, values in factors.items() for value in values}
  while left:
    row = _row(dict(next(iter(left))), factors, allowed, left, taken)
    for pair in pairs_of(row):
      left.pop(pair, None)
    for entry in row.items():
      taken[entry] += 1
    rows.append({name: row[name] for name in factors})
  return rows


def _row(row, factors, allowed, left, taken):
  for name in (name for name in factors if name not in row):
    fitting = [value for value in factors[name] if allowed(row | {name: value})]

    def gain(value, row=row, name=name):
      new = sum(frozenset(((name, value), entry)) in left for entry in row.items())
      return new, -taken[name, value]

    row = row | {name: max(fitting, key=gain)}
  return row
