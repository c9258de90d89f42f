"""A process of `experiments.scaling`: measures models on the devices that it finds.

  python -m experiments.scaling.worker '{"count": ["mlp"], "strategies": ["shard_map"]}'

It prints one line of JSON, {case: {strategy: numbers}}. Of several processes the first prints.
"""

import contextlib
import json
import pathlib
import statistics
import sys
import tempfile
import time
from typing import Any

import jax
import numpy as np

from experiments.scaling import cases, traffic
from gan.datasets.batches import batch_indices
from gan.training import distributed, parallel
from gan.training.checkpoint import Checkpoints

WARM_UP = 3


def main(order: dict[str, Any]) -> None:
  """Measures what an order asks for.

  Args:
    order: strategies; count or time, a list of cases; with the latter steps, how many are timed,
      and data_on_host, whether the data stay on the host; coordinator, processes and process, where
      this is one of several.
  """
  with _joined(order):
    found = {
      name: _strategies(cases.CASES[name], order) for name in order.get("count", order.get("time"))
    }
    if distributed.is_main_process():
      print(json.dumps(found), flush=True)


def _strategies(case, order):
  measure = _counted if "count" in order else _timed
  return {strategy: measure(case, strategy, order) for strategy in order["strategies"]}


def _joined(order):
  if "coordinator" not in order:
    return contextlib.nullcontext()
  numbers = (order[name] for name in ("coordinator", "processes", "process"))
  return distributed.joined(*numbers, 120)


def _start(case, strategy):
  algorithm = cases.algorithm(case, parallel.STRATEGIES[strategy][1])
  return algorithm, jax.device_get(jax.jit(algorithm.init)(cases.key()))


def _timed(case, strategy, order):
  """The median time of a step, in milliseconds."""
  devices, data_on_host, (algorithm, start) = (
    jax.devices(),
    order.get("data_on_host", False),
    _start(case, strategy),
  )
  run = parallel.make_run(algorithm.step, strategy, devices, data_on_host)
  state, key = (parallel.replicate(tree, strategy, devices) for tree in (start, cases.key()))
  data = (
    cases.data(case) if data_on_host else parallel.replicate(cases.data(case), strategy, devices)
  )
  times = []
  for step in range(WARM_UP + order["steps"]):
    began = time.perf_counter()
    state, _ = run(state, data, _indices(case, step), key)
    jax.block_until_ready(state)
    times.append(time.perf_counter() - began)
  return statistics.median(times[WARM_UP:]) * 1e3


def _indices(case, step):
  config = case.config
  updates = config.discriminator_steps
  return batch_indices(0, cases.EXAMPLES, step, 1, updates, config.batch_size)


def _counted(case, strategy, order):
  """What a step is, as compiled for all devices; nothing is run."""
  devices, (algorithm, start) = jax.devices(), _start(case, strategy)
  arguments = (start, cases.data(case), _indices(case, 0), cases.key())
  program = parallel.make_run(algorithm.step, strategy, devices).lower(*arguments).compile()
  found = traffic.collectives(program.as_text())
  return {
    "sizes": _sizes(case, start)._asdict(),
    "kinds": sorted({kind for kind, _ in found}),
    "operations": len(found),
    "bytes": sum(size for _, size in found),
    "flops": len(devices) * (program.cost_analysis() or {})["flops"],
    "state": sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves(start)),
    "checkpoint": _checkpoint(start),
  }


def _sizes(case, state) -> traffic.Sizes:

  def size(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))

  players = (state.generator, state.discriminator)
  parameters = (size(player.params) for player in players)
  statistics = (size(player.model_state) for player in players)
  return traffic.Sizes(*parameters, *statistics, case.config.discriminator_steps)


def _checkpoint(state) -> dict[str, float]:
  """Bytes and seconds of saving a state."""
  with tempfile.TemporaryDirectory() as folder:
    checkpoints, began = Checkpoints(pathlib.Path(folder)), time.perf_counter()
    checkpoints.save(1, state)
    checkpoints.close()
    seconds = time.perf_counter() - began
    files = (file for file in pathlib.Path(folder).rglob("*") if file.is_file())
    return {"bytes": sum(file.stat().st_size for file in files), "seconds": seconds}


if __name__ == "__main__":
  main(json.loads(sys.argv[1]))
