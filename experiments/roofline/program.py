"""What a lowered program computes and moves, counted operation by operation; nothing is run."""

import collections
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from jax.extend.mlir import ir, passmanager
from jax.extend.mlir.dialects import stablehlo

PRODUCTS = ("stablehlo.dot_general", "stablehlo.convolution")
VIEWS = (
  "stablehlo.broadcast_in_dim",
  "stablehlo.optimization_barrier",
  "stablehlo.reshape",
  "sdy.sharding_constraint",
)
MADE_WHERE_READ = ("stablehlo.constant", "stablehlo.iota")
READS_A_PART = ("stablehlo.dynamic_slice", "stablehlo.gather", "stablehlo.slice")
FLOPS = "flops "  # the beginning of a name of counts; a kind of product follows
Counts = collections.Counter


def counts(module: ir.Module, share: float = 1.0) -> Counts:
  """Returns what a program needs, without what nothing reads and what is there twice.

  `flops KIND` are those of products and convolutions, 2 for each multiplication of two numbers that
  are there: zeros of padding and of dilation are not. `products` is their number. `fused` and
  `unfused` are bounds of the bytes that pass between memory and chip: products alone read and write
  there, and each argument and result does once; or every operation does.

  Args:
    module: as `jax.jit(...).lower(...).compiler_ir()` has it; it is simplified.
    share: of the times that a conditional is reached, how many take its dearest branch; the others
      take the cheapest.
  """
  with module.context:
    simplify = "builtin.module(canonicalize,cse)"
    passmanager.PassManager.parse(simplify).run(module.operation)
    functions = {
      op.attributes["sym_name"].value: op.regions[0].blocks[0]
      for op in module.body.operations
      if op.operation.name == "func.func"
    }
    main = functions["main"]
    *_, last = main.operations
    found = _Walk(functions, share).block(main, range(len(last.operands)))
    found["fused"] += sum(map(_bytes, (*main.arguments, *last.operands)))
  return found


class _Walk:
  """Counts of blocks of operations.

  Args:
    functions: the blocks of a module's functions.
    share: as in `counts`.
  """

  def __init__(self, functions: dict[str, ir.Block], share: float):
    self.functions, self.share = functions, share

  def block(self, block: ir.Block, asked: Iterable[int]) -> Counts:
    """Returns what the results of a block with these places take."""
    *body, last = block.operations
    needed, found = {last.operands[i] for i in asked}, Counts()
    for op in reversed(body):
      places = [i for i, result in enumerate(op.results) if result in needed]
      if places:
        found.update(self._operation(op, places))
        needed.update(_reads(op))
    return found

  def _operation(self, op: Any, asked: list[int]) -> Counts:
    name = op.operation.name
    if name == "func.call":
      return self.block(self.functions[op.attributes["callee"].value], asked)
    if name in ("stablehlo.case", "stablehlo.if"):
      branches = [self.block(region.blocks[0], asked) for region in op.regions]
      first, *_, last = sorted(branches, key=lambda branch: branch["unfused"])
      return _scaled(first, 1 - self.share) + _scaled(last, self.share)
    if name == "stablehlo.while":
      inside = op.regions[1].blocks[0]
      return _scaled(self.block(inside, range(len(op.operands))), _times(op))
    return _counts(op, name)


def _counts(op: Any, name: str) -> Counts:
  """Those of one operation that has no program within."""
  if name in VIEWS or name in MADE_WHERE_READ:
    return Counts()
  written = sum(map(_bytes, op.results))
  moved = written + (written if name in READS_A_PART else sum(map(_read_bytes, op.operands)))
  if name not in PRODUCTS:
    return Counts(unfused=moved)
  flops = 2 * (_dot(op) if name == PRODUCTS[0] else _convolution(op))
  return Counts({FLOPS + _kind(op): flops, "products": 1, "fused": moved, "unfused": moved})


def _scaled(found: Counts, factor: float) -> Counts:
  return Counts({name: factor * count for name, count in found.items()})


def _reads(op: Any) -> Iterator[ir.Value]:
  """What an operation reads, and what all within it do."""
  yield from op.operands
  for region in op.regions:
    for block in region.blocks:
      for inner in block.operations:
        yield from _reads(inner)


def _shape(value: ir.Value) -> list[int]:
  return ir.RankedTensorType(value.type).shape


def _type(value: ir.Value) -> str:
  return str(ir.RankedTensorType(value.type).element_type)


def _bytes(value: ir.Value) -> int:
  bits = int(re.sub(r"\D", "", _type(value)))  # i1 and f32; a truth takes a byte
  return max(1, bits // 8) * math.prod(_shape(value))


def _read_bytes(value: ir.Value) -> int:
  """Bytes that are read for a value: those of what it is a view of."""
  maker = value.owner
  name = "" if isinstance(maker, ir.Block) else maker.name
  if name in MADE_WHERE_READ:
    return 0
  if name in VIEWS:
    return min(_bytes(value), _read_bytes(maker.operands[ir.OpResult(value).result_number]))
  return _bytes(value)


def _times(loop: Any) -> int:
  """How often a loop is run that counts from 0 to a constant, as `jax.lax.scan` does."""
  *_, compare, _ = loop.regions[0].blocks[0].operations
  limit = compare.operands[1].owner
  less = "LT" in str(compare.attributes["comparison_direction"])
  if limit.name != "stablehlo.constant" or not less:
    raise ValueError(f"a loop that ends at {compare} has no number of turns that is known before")
  return int(np.asarray(limit.attributes["value"]))


def _kind(product: Any) -> str:
  """Of a product: the type of its numbers, of float32 how exactly it is asked for."""
  if _type(product.operands[0]) == "bf16":
    return "bfloat16"
  asked = str(product.attributes["precision_config"])
  return next((kind for kind in ("highest", "high") if kind.upper() in asked), "default")


def _dot(op: Any) -> int:
  """Multiplications of a product: of each number of the result, the length of what is summed."""
  numbers = stablehlo.DotDimensionNumbers(op.attributes["dot_dimension_numbers"])
  sides = _shape(op.operands[0])
  summed = math.prod(sides[i] for i in numbers.lhs_contracting_dimensions)
  return math.prod(_shape(op.results[0])) * summed


def _convolution(op: Any) -> int:
  """Multiplications of a convolution: of each number of the result, the taps that meet another."""
  numbers = stablehlo.ConvDimensionNumbers(op.attributes["dimension_numbers"])
  image, kernel, result = map(_shape, (*op.operands, op.results[0]))
  met = map(
    _meetings,
    (image[i] for i in numbers.input_spatial_dimensions),
    (kernel[i] for i in numbers.kernel_spatial_dimensions),
    (result[i] for i in numbers.output_spatial_dimensions),
    op.attributes["window_strides"],
    np.asarray(op.attributes["padding"])[:, 0],
    op.attributes["lhs_dilation"],
    op.attributes["rhs_dilation"],
  )
  batch, features = numbers.output_batch_dimension, numbers.output_feature_dimension
  channels = kernel[numbers.kernel_input_feature_dimension]
  return math.prod(met) * result[batch] * result[features] * channels


def _meetings(
  side: int, taps: int, places: int, stride: int, low: int, apart: int, spread: int
) -> int:
  """How many pairs of a place and a tap meet a number of one side, and no zero.

  Args:
    side: how many numbers there are.
    taps: of the kernel.
    places: how many numbers the result has.
    stride: from place to place.
    low: zeros before the first number.
    apart: of the numbers, 1 where none is between them.
    spread: of the taps, the same.
  """
  at = stride * np.arange(places)[:, None] + spread * np.arange(taps) - low
  return int(np.sum((at >= 0) & (at < apart * side) & (at % apart == 0)))
