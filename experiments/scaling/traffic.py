"""Bytes that a step puts on the wire: by formula, and counted in the compiled program."""

import math
import re
from typing import NamedTuple

BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "f32": 4, "f64": 8}
KINDS = "all-reduce|all-gather|reduce-scatter|collective-permute|all-to-all"
CALL = re.compile(rf"= (.*?) ({KINDS})(?:-start)?\(")
SHAPE = re.compile(r"\b([a-z]+\d*)\[([\d,]*)\]")


class Sizes(NamedTuple):
  """Numbers of a model, and of how it is trained.

  Attributes:
    generator: parameters of G.
    discriminator: parameters of D.
    generator_statistics: batch means and variances in G.
    discriminator_statistics: the same in D.
    updates: K, discriminator updates in a step.
    metrics: scalars that are averaged over devices.
  """

  generator: int
  discriminator: int
  generator_statistics: int
  discriminator_statistics: int
  updates: int = 1
  metrics: int = 8


def step_bytes(sizes: Sizes) -> int:
  """Returns the bytes of float32 that one alternating step averages over devices.

  4 (K |D| + |G| + (K + 3) S_G + (5 K + 2) S_D + metrics): the gradient of each update; S_G, batch
  statistics of G, once forward in each update of D, forward and backward in that of G, and its
  running ones; S_D, those of D, forward and backward on real and on fake examples in each update of
  D and its running ones, on fake ones in that of G; the metrics of the last update of each player.
  """
  k, gradients = sizes.updates, sizes.updates * sizes.discriminator + sizes.generator
  statistics = (k + 3) * sizes.generator_statistics + (5 * k + 2) * sizes.discriminator_statistics
  return 4 * (gradients + statistics + sizes.metrics)


def collectives(program: str) -> list[tuple[str, int]]:
  """Returns (kind, bytes) of each collective operation in the text of a compiled program."""
  return [(kind, _bytes(shapes)) for shapes, kind in CALL.findall(program)]


def _bytes(shapes):
  found = SHAPE.findall(shapes)
  return sum(
    BYTES[kind] * math.prod(map(int, filter(None, sides.split(",")))) for kind, sides in found
  )


def ring_bytes(size: float, devices: int) -> float:
  """Returns the bytes that each device sends to average `size` bytes: 2 (n - 1) / n of them.

  A reduce-scatter and an all-gather around a ring, each of n - 1 messages of size / n; no algorithm
  sends fewer. See "Bandwidth optimal all-reduce algorithms for clusters of workstations" by
  Patarasuk and Yuan (https://doi.org/10.1016/j.jpdc.2008.09.002).
  """
  return 2 * (devices - 1) / devices * size


def efficiency(compute: float, wire: float) -> float:
  """Returns the share of a step that computes, where nothing overlaps: t_c / (t_c + t_w)."""
  return compute / (compute + wire)
