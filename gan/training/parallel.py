"""Strategies that run a step: on one device, data parallel, many steps in one call, many runs.

Every strategy has the signature `run(state, dataset, indices, key) -> (state, metrics)`. It takes
the whole data set, on each device or on the host, gathers its batches by index, donates the state
and trains the same model. A group of runs has a leading axis in all but the data set. No array has
a leading axis of devices outside of this file.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Int32

from gan.errors import UserError
from gan.system.compilation import compiled
from gan.system.memory import machine_bytes

AXIS = "batch"
PLACES = ("auto", "device", "host")  # of a data set
Run = Callable[..., Any]  # (state, dataset, indices, key) -> (state, metrics)
Gather = Callable[..., tuple[Any, Any]]  # (dataset, indices, split) -> what the run is given


def _one_device(run: Run, devices: list, gather: Gather) -> Run:
  del devices
  return _gathering(compiled(run, donate_argnums=0), gather)


def _jit(run: Run, devices: list, gather: Gather) -> Run:
  """The compiler places the work: batches are split over devices, everything else is replicated."""
  whole, split = NamedSharding(_mesh(devices), P()), _split(devices)
  execute = compiled(
    run,
    in_shardings=(whole, whole, split, whole),
    out_shardings=(whole, whole),
    donate_argnums=0,
  )
  return _gathering(execute, gather, split)


def _shard_map(run: Run, devices: list, gather: Gather) -> Run:
  # check_vma=True would sum gradients of replicated parameters over devices, once more than pmean.
  mapped = jax.shard_map(
    run,
    mesh=_mesh(devices),
    in_specs=(P(), P(), P(None, None, AXIS), P()),
    out_specs=(P(), P()),
    check_vma=False,
  )
  return _gathering(compiled(mapped, donate_argnums=0), gather, _split(devices))


def _pmap(run: Run, devices: list, gather: Gather) -> Run:
  mapped = jax.pmap(
    run,
    axis_name=AXIS,
    in_axes=(None, None, 0, None),
    out_axes=None,
    devices=devices,
    donate_argnums=0,
  )

  def call(state: Any, dataset: Any, indices: Any, key: Any) -> tuple[Any, Any]:
    if dataset is not None:
      dataset, indices = gather(dataset, _shares(indices, devices))
    return mapped(state, dataset, indices, key)

  return call


def _shares(indices: Int32[np.ndarray, "s k b"], devices: list) -> Int32[np.ndarray, "d s k share"]:
  """Indices [D, S, K, B / D] of the devices that belong to this process."""
  own = [i for i, device in enumerate(devices) if device in _local_devices(devices)]
  steps, updates, _ = indices.shape
  return np.moveaxis(indices.reshape(steps, updates, len(devices), -1), 2, 0)[own]


def _local_devices(devices: list) -> list:
  """Returns those devices that belong to this process."""
  return [device for device in devices if device.process_index == jax.process_index()]


def _mesh(devices: list) -> Mesh:
  return Mesh(np.asarray(devices), (AXIS,), axis_types=(AxisType.Auto,))


def _split(devices: list) -> NamedSharding:
  """Of indices [S, K, B]: each device has an equal share of every batch."""
  return NamedSharding(_mesh(devices), P(None, None, AXIS))


def _gathering(execute: Run, gather: Gather, split: NamedSharding | None = None) -> Run:
  if gather is _gather_on_device and (split is None or split.is_fully_addressable):
    return execute

  def call(state: Any, dataset: Any, indices: Any, key: Any) -> tuple[Any, Any]:
    if dataset is not None:
      dataset, indices = gather(dataset, indices, split)
    return execute(state, dataset, indices, key)

  return call


def _gather_on_device(
  dataset: Any, indices: Any, split: NamedSharding | None = None
) -> tuple[Any, Any]:
  """Returns the data set and the indices, split over devices: the step gathers its rows on them."""
  return dataset, indices if split is None else _place(indices, split)


def _gather_on_host(
  dataset: Any, indices: Int32[np.ndarray, "..."], split: NamedSharding | None = None
) -> tuple[None, Any]:
  """Returns (None, the rows), gathered in this process; each device gets the rows of its share."""

  def rows(array: np.ndarray) -> np.ndarray | jax.Array:
    if split is None:
      return array[indices]
    shape = (*indices.shape, *array.shape[1:])
    return jax.make_array_from_callback(shape, split, lambda at: array[indices[at[:3]]])

  return None, jax.tree.map(rows, dataset)


def _place(array: Any, sharding: NamedSharding) -> jax.Array:
  """An array that every process has whole, on the devices of all of them."""
  if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
    return jax.random.wrap_key_data(_place(jax.random.key_data(array), sharding))
  array = np.asarray(array)
  return jax.make_array_from_callback(array.shape, sharding, lambda at: array[at])


# Name -> (how it wraps a step, the axis name that the step must be built with).
STRATEGIES: dict[str, tuple[Callable, Any]] = {
  "none": (_one_device, ()),
  "jit": (_jit, ()),
  "shard_map": (_shard_map, AXIS),
  "pmap": (_pmap, AXIS),
}


def resolve(
  name: str,
  batch_size: int,
  devices: list,
  packing: int = 1,
  generator_batch_size: int | None = None,
  accumulate: int = 1,
) -> str:
  """Returns the strategy that `name` stands for on these devices.

  Args:
    name: one of STRATEGIES, or "auto": "none" on one device, "shard_map" on several, "jit" where
      they have no equal parts of whole packs each.
    batch_size: global number of examples in a batch.
    devices: all devices, of every process.
    packing: how many examples the discriminator judges at once.
    generator_batch_size: global number of samples in the generator's update, if another.
    accumulate: parts of each device's share of a batch.

  Raises:
    UserError: a batch cannot be split evenly, or one device is asked for in many processes.
  """
  sizes = {"batch_size": batch_size, "generator_batch_size": generator_batch_size or batch_size}
  unit = len(devices) * packing * accumulate
  if name == "auto" and len(devices) == 1:
    name = "none"
  elif name == "auto":
    # "jit" leaves it to the compiler, which computes G whole on every device (docs/scaling.md).
    name = "jit" if any(size % unit for size in sizes.values()) else "shard_map"
  if name == "none" and jax.process_count() > 1:
    raise UserError(
      f"--parallel=none is for one device, not for {jax.process_count()} processes: use auto, jit, "
      "shard_map or pmap"
    )
  if name != "none" and batch_size % len(devices):
    fitting = max(len(devices), batch_size - batch_size % len(devices))
    raise UserError(
      f"--batch_size={batch_size} is not divisible by the {len(devices)} devices: use "
      f"--batch_size={fitting}, or --parallel=none for one device"
    )
  for field, size in sizes.items():
    if STRATEGIES[name][1] and size % unit:
      counts = {"--packing": packing, "--accumulate": accumulate}
      parts = "".join(f" times {flag}={count}" for flag, count in counts.items() if count > 1)
      raise UserError(
        f"--{field}={size} is not divisible by the {len(devices)} devices{parts}: use "
        f"--{field}={max(unit, size - size % unit)}, or --parallel=jit"
      )
  return name


def stays_on_host(place: str, dataset: Any, devices: list) -> bool:
  """Returns whether a data set is kept in the memory of each process, and not on each device.

  Args:
    place: one of PLACES; "auto" keeps on the host what takes more than a quarter of a device.
    dataset: arrays on the host.
    devices: the devices to use.
  """
  if place != "auto":
    return place == "host"
  local_devices = _local_devices(devices)
  stats = local_devices[0].memory_stats() or {}
  size = sum(array.nbytes for array in jax.tree.leaves(dataset))
  # CPUs, which tell no limit, have the memory of the machine, and each a copy.
  return size > stats.get("bytes_limit", machine_bytes() / len(local_devices)) / 4


def make_run(step: Callable, strategy: str, devices: list, data_on_host: bool = False) -> Callable:
  """Returns `run(state, dataset, indices, key) -> (state, metrics)`, compiled.

  Args:
    step: `(state, batch, key) -> (state, metrics)`, built with the axis name of the strategy.
    strategy: one of STRATEGIES.
    devices: the devices to use; "none" uses the first.
    data_on_host: whether the data set is of NumPy arrays that stay where they are. Each call
      then moves the rows that it needs, and each process those alone that its own devices need.

  The arguments of the result are the state, which is donated; the data set, a Batch of arrays
  [N, ...]; indices int32 [S, K, B] into it, S steps of K discriminator updates; and the root key.
  None and what `gather_rows` returns may stand for the data set and the indices. Metrics come back
  as [S].
  """
  return STRATEGIES[strategy][0](
    many_steps(step), devices, _gather_on_host if data_on_host else _gather_on_device
  )


def gather_rows(
  dataset: Any, indices: Int32[np.ndarray, "s k b"], strategy: str, devices: list
) -> Any:
  """Returns the rows of a data set on the host that a call needs, where they are needed.

  Args:
    dataset: NumPy arrays [N, ...].
    indices: into it.
    strategy: one of STRATEGIES.
    devices: the devices to use.
  """
  if strategy == "pmap":
    return _gather_on_host(dataset, _shares(indices, devices))[1]
  split = None if strategy == "none" else _split(devices)
  return _gather_on_host(dataset, indices, split)[1]


def replicate(tree: Any, strategy: str, devices: list) -> Any:
  """Places arrays whole on every device that the strategy uses."""
  if strategy == "none":
    return jax.device_put(tree, devices[0])
  whole = NamedSharding(_mesh(devices), P())
  if whole.is_fully_addressable:
    return jax.device_put(tree, whole)
  return jax.tree.map(lambda array: _place(array, whole), tree)


def local(tree: Any) -> Any:
  """Returns arrays that are whole on every device as arrays of this process alone."""
  return jax.tree.map(
    lambda array: array if array.is_fully_addressable else array.addressable_data(0), tree
  )


def make_group_run(step: Callable, devices: list) -> Callable:
  """Returns `run(states, dataset, indices, keys) -> (states, metrics)` of M runs, compiled.

  Runs are split over the devices, whose number must divide M; the data set is whole on each.
  Runs of one device are stepped under `vmap`, where a convolution becomes a grouped convolution:
  that has no fast path on the CPU.

  Args:
    step: `(state, batch, key) -> (state, metrics)`, built with the axis name ().
    devices: the devices to use.

  The arguments of the result are as in `make_run`, with a leading axis M in all but the data set.
  """
  share = jax.vmap(many_steps(step), in_axes=(0, None, 0, 0))
  mapped = jax.shard_map(
    share,
    mesh=_mesh(devices),
    in_specs=(P(AXIS), P(), P(AXIS), P(AXIS)),
    out_specs=(P(AXIS), P(AXIS)),
    check_vma=False,
  )
  return compiled(mapped, donate_argnums=0)


def split_runs(tree: Any, devices: list) -> Any:
  """Places arrays [M, ...] with an equal share of the runs on each device."""
  return jax.device_put(tree, NamedSharding(_mesh(devices), P(AXIS)))


def many_steps(step: Callable) -> Callable:
  """Returns `run(state, dataset, indices, key)` of `make_run`, not compiled.

  Without a data set, batches [S, K, B, ...] stand in the place of indices.
  """

  def run(state: Any, dataset: Any, indices: Any, key: Any) -> tuple[Any, Any]:
    def one(state: Any, picked: Any) -> tuple[Any, Any]:
      batch = picked if dataset is None else jax.tree.map(lambda array: array[picked], dataset)
      return step(state, batch, key)

    if len(jax.tree.leaves(indices)[0]) > 1:
      return jax.lax.scan(one, state, indices)
    state, metrics = one(state, jax.tree.map(lambda array: array[0], indices))
    return state, jax.tree.map(lambda metric: metric[None], metrics)

  return run
