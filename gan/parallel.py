"""The ways to run a step: on one device, data parallel, many steps in one call, many members.

Every way has the same signature, `run(state, dataset, indices, key) -> (state, metrics)`, takes the
data set whole and picks its batch by index, donates the state and trains the same model; many
members have a leading axis in all but the data set. Nothing has a leading device axis outside of
this file.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from gan.errors import UserError

AXIS = "batch"


def _one_device(run, devices):
  del devices
  return jax.jit(run, donate_argnums=0)


def _jit(run, devices):
  """The compiler places the work: indices are split over devices, everything else is replicated."""
  mesh = _mesh(devices)
  whole, split = NamedSharding(mesh, P()), NamedSharding(mesh, P(None, None, AXIS))
  return jax.jit(
    run,
    in_shardings=(whole, whole, split, whole),
    out_shardings=(whole, whole),
    donate_argnums=0,
  )


def _shard_map(run, devices):
  # check_vma=True would sum gradients of replicated parameters over devices, once more than pmean.
  mapped = jax.shard_map(
    run,
    mesh=_mesh(devices),
    in_specs=(P(), P(), P(None, None, AXIS), P()),
    out_specs=(P(), P()),
    check_vma=False,
  )
  return jax.jit(mapped, donate_argnums=0)


def _pmap(run, devices):
  mapped = jax.pmap(
    run,
    axis_name=AXIS,
    in_axes=(None, None, 0, None),
    out_axes=None,
    devices=devices,
    donate_argnums=0,
  )

  def call(state, dataset, indices, key):
    steps, updates, _ = indices.shape
    shares = indices.reshape(steps, updates, len(devices), -1)
    return mapped(state, dataset, jnp.moveaxis(shares, 2, 0), key)

  return call


def _mesh(devices) -> Mesh:
  return Mesh(np.asarray(devices), (AXIS,), axis_types=(AxisType.Auto,))


# Name -> (how it wraps a step, the axis name that the step must be built with).
WAYS: dict[str, tuple[Callable, Any]] = {
  "none": (_one_device, ()),
  "jit": (_jit, ()),
  "shard_map": (_shard_map, AXIS),
  "pmap": (_pmap, AXIS),
}


def resolve(name: str, batch_size: int, devices: list) -> str:
  """Returns the way that `name` stands for on these devices.

  Args:
    name: one of WAYS, or "auto": "none" on one device, "jit" on several.
    batch_size: global number of examples in a batch.
    devices: the local devices.

  Raises:
    UserError: the batch cannot be split evenly.
  """
  if name == "auto":
    name = "jit" if len(devices) > 1 else "none"
  if name != "none" and batch_size % len(devices):
    fitting = max(len(devices), batch_size - batch_size % len(devices))
    raise UserError(
      f"--batch_size={batch_size} is not divisible by the {len(devices)} devices: use "
      f"--batch_size={fitting}, or --parallel=none for one device"
    )
  return name


def make_run(step: Callable, way: str, devices: list) -> Callable:
  """Returns `run(state, dataset, indices, key) -> (state, metrics)`, compiled.

  Args:
    step: `(state, batch, key) -> (state, metrics)`, built with the axis name of the way.
    way: one of WAYS.
    devices: the devices to use; "none" uses the first.

  The arguments of the result are the state, which is donated; the data set, a Batch of arrays
  [N, ...]; indices int32 [S, K, B] into it, S steps of K discriminator updates; and the root key.
  Metrics come back as [S].
  """
  return WAYS[way][0](many_steps(step), devices)


def replicate(tree: Any, way: str, devices: list) -> Any:
  """Places arrays whole on every device that the way uses."""
  if way == "none":
    return jax.device_put(tree, devices[0])
  return jax.device_put(tree, NamedSharding(_mesh(devices), P()))


def make_members_run(step: Callable, devices: list) -> Callable:
  """Returns `run(states, dataset, indices, keys) -> (states, metrics)` of M members, compiled.

  Members are split over the devices, whose number must divide M; the data set is whole on each.
  Members of one device are stepped under `vmap`, where a convolution becomes a grouped convolution:
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
  return jax.jit(mapped, donate_argnums=0)


def split_members(tree: Any, devices: list) -> Any:
  """Places arrays [M, ...] with an equal share of the members on each device."""
  return jax.device_put(tree, NamedSharding(_mesh(devices), P(AXIS)))


def many_steps(step: Callable) -> Callable:
  """Returns `run(state, dataset, indices, key) -> (state, metrics)` of `make_run`, not compiled."""

  def run(state, dataset, indices, key):
    def one(state, picked):
      batch = jax.tree.map(lambda array: array[picked], dataset)
      return step(state, batch, key)

    if len(indices) > 1:
      return jax.lax.scan(one, state, indices)
    state, metrics = one(state, indices[0])
    return state, jax.tree.map(lambda metric: metric[None], metrics)

  return run
