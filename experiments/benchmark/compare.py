"""Runs a case on both sides, which take turns in processes of their own: A B A B."""

import math
import os
import shutil
import tempfile
from typing import Any, NamedTuple

from experiments.benchmark import device, results
from experiments.benchmark.cases import Case
from experiments.benchmark.worker import Worker
from gan.errors import UserError

WARM_STARTS = 2
TRIAL = 300.0  # milliseconds that a form is tried
COMPILED, CHANNELS_LAST = "compile", "channels_last"


class Plan(NamedTuple):
  """How long and against what.

  Attributes:
    device: "cpu" or "gpu".
    peer: whether PyTorch takes part.
    forms: of PyTorch, of which the quickest is the peer: keys of FORMS.
    pairs: turns of each side.
    seconds: that a turn lasts at least, on the quicker side.
  """

  device: str
  peer: bool
  forms: tuple[str, ...]
  pairs: int
  seconds: float


# What torch_peer calls them; it is not imported here, for it imports PyTorch.
FORMS = ("eager", CHANNELS_LAST, COMPILED)
Known = dict[tuple[str, ...], str]  # the quickest form of each family of cases, as it was found


def ours(case: Case, **options) -> Worker:
  """Starts our side."""
  return Worker("ours", case.name, environment=device.ENVIRONMENT | options)


def torch(case: Case, form: str, kind: str, **options) -> Worker:
  """Starts PyTorch's side, with the C library's memory as our side keeps it."""
  return Worker("torch_peer", case.name, form, kind, environment=device.KEEP_MEMORY | options)


def run(case: Case, plan: Plan, known: Known) -> dict[str, Any]:
  """Returns the record of a case.

  Args:
    case: what to do.
    plan: how long and against what.
    known: forms that were found before; a case that differs from one of them in k or in the batch
      size takes its form. What is found is added.

  Raises:
    UserError: a worker failed, or the two sides have different numbers of parameters.
  """
  if case.task == "start":
    return _starts(case, plan)
  with ours(case) as own:
    if case.alone or not plan.peer:
      return _alone(case, own, plan)
    found = not case.plain and known.get(case.family)
    forms = (found,) if found else _forms(case, plan)
    peer, form, tried = _quickest(case, forms, plan.device)
    known[case.family] = form
    with peer:
      _check_parameters(case, own, peer)
      count = _count(case, plan, milliseconds(own, case.game.penalty_every), tried[form])
      sides = _take_turns([own, peer], count, plan.pairs)
  sides[1] |= {"form": form, "tried_milliseconds": tried}
  return results.summary(case, plan.device, *sides)


def _alone(case, own, plan):
  count = _count(case, plan, milliseconds(own, case.game.penalty_every))
  (side,) = _take_turns([own], count, plan.pairs)
  return results.summary(case, plan.device, side, None)


def _check_parameters(case, own, peer):
  counts = own.about["parameters"], peer.about["parameters"]
  if counts[0] != counts[1]:
    raise UserError(f"{case.name}: {counts[0]} parameters of G and D here, {counts[1]} in the peer")


def milliseconds(side: Worker, cycle: int = 1) -> float:
  """Returns the time of a piece of work, roughly; the first turn warms up.

  Args:
    side: does it.
    cycle: after how many pieces they are the same again.
  """
  once = side.turn(cycle)["milliseconds"]
  return side.turn(_whole(TRIAL / once, cycle))["milliseconds"]


def _count(case, plan, *times):
  """Pieces of work in a turn."""
  return _whole(plan.seconds * 1e3 / min(times), case.game.penalty_every)


def _whole(count, cycle):
  """The least multiple of `cycle` that is not below `count`: a turn has its share of penalties."""
  return math.ceil(count / cycle) * cycle


def _forms(case, plan):
  """Those of the plan that are possible: without convolutions there is but one layout."""
  impossible = {CHANNELS_LAST} if case.model == "mlp" else set()
  impossible |= set() if has_compiler() else {COMPILED}
  return tuple(form for form in plan.forms if form not in impossible) or ("eager",)


def has_compiler() -> bool:
  """Returns whether there is a C++ compiler, without which torch.compile does nothing."""
  return any(map(shutil.which, (os.environ.get("CXX", "c++"), "g++", "clang++", "cl")))


def _quickest(
  case: Case, forms: tuple[str, ...], kind: str
) -> tuple[Worker, str, dict[str, float]]:
  """Tries PyTorch's forms; returns a worker of the quickest, its name, and all their times.

  Layouts come first, and only the quicker one is compiled. A form whose worker fails is left out,
  and said.

  Raises:
    UserError: all fail.
  """
  best, peer, tried = None, None, {}
  for form in forms:
    name = f"{form}_{best}" if form == COMPILED and best == CHANNELS_LAST else form
    try:
      rival = torch(case, name, kind)
      tried[name] = milliseconds(rival, case.game.penalty_every)
    except UserError as error:
      print(f"{case.name}: PyTorch cannot do {name} here: {error}", flush=True)
      continue
    if peer is None or tried[name] < tried[best]:
      best, peer, rival = name, rival, peer
    if rival is not None:
      rival.close()
  if peer is None:
    raise UserError(f"{case.name}: PyTorch can do none of {', '.join(forms)} here; see above")
  return peer, best, tried


def _take_turns(sides: list[Worker], count: int, pairs: int) -> list[dict[str, Any]]:
  """Returns what each side's turns took: one after the other, then the rates of products."""
  turns, rates = [[] for _ in sides], [[] for _ in sides]
  for _ in range(pairs):
    for side, taken in zip(sides, turns, strict=True):
      taken.append(side.turn(count))
    for side, measured in zip(sides, rates, strict=True):
      measured.append(side.rate())
  return [
    {
      **side.about,
      "count": count,
      "milliseconds": [turn["milliseconds"] for turn in taken],
      "peak_mib": taken[0]["peak_mib"],
      "gflops": measured,
      "seconds_to_first": side.seconds,
    }
    for side, taken, measured in zip(sides, turns, rates, strict=True)
  ]


def _starts(case, plan):
  """Cold is with an empty cache of compiled programs, warm with what the cold start left there.

  PyTorch's side is eager, which starts soonest, and has nothing to keep: it is always warm.
  """
  seconds = {"ours": {"cold": [], "warm": []}}
  if plan.peer:
    seconds["peer"] = {"cold": [], "warm": []}
  with tempfile.TemporaryDirectory(prefix="gan-benchmark-") as cache:
    for start in range(1 + WARM_STARTS):
      kind = "warm" if start else "cold"
      for name in seconds:
        seconds[name][kind].append(_seconds_to_first(case, name, plan, cache))
  return results.start_summary(case, seconds)


def _seconds_to_first(case, name, plan, cache):
  options = {"JAX_COMPILATION_CACHE_DIR": cache}
  with ours(case, **options) if name == "ours" else torch(case, "eager", plan.device) as side:
    return side.seconds
