"""The cost sheet, docs/scaling.md, from what was measured."""

from typing import Any

from experiments.scaling import traffic
from experiments.scaling.cases import CASES
from experiments.scaling.machines import MACHINES

COUNTS = (8, 64, 512)
UTILISATIONS = (0.4, 0.05)
# A step whose all-reduces wait this share of its computation for their first byte.
LATENCY_SHARE = 0.1

HEAD = """# What a step costs on many devices

Written by `{command}` (`make scaling`) on {date}, on {processor}, jax {jax}; load average at the
start {load:.1f}. A figure is **measured** on that machine, **exact** (counted in a program, or by
a formula that a test holds), or **predicted** from published numbers. Nothing here was measured
on an accelerator.
"""

MODEL = """## Predicted efficiency on 8, 64 and 512 accelerators

Efficiency is t_c / (t_c + t_w): the share of a step that computes, where nothing overlaps.

* t_c = FLOPs of the compiled step / (devices x peak x utilisation), with the batch of the first
  table split over all devices ("same batch"), or that batch on each device ("batch x n"). The
  utilisation is assumed: 40 % and 5 % of the peak, which brackets small and large convolutions.
  The less is used, the longer a step computes, and the less its wire matters. The peak is that of
  `--precision=bfloat16`; gradients travel in float32.
* t_w = 2 (n - 1) / n x bytes of a step / the slowest link of the ring. Latency is left out: so
  these are upper bounds. The last column is the latency of an all-reduce at which a step on 8
  devices ("same batch", 40 %) loses a tenth more.

One ring is assumed, through one port of each accelerator; libraries that use all ports at once
are faster.
"""

BREAKS = """## What breaks first, and the remedy

1. **Latency.** A step waits for {operations} all-reduces (exact), one after the other, however
   few bytes they have; the last column above says how long each may take. Remedy: no more devices
   than that allows; `--launcher=ray` gives each group of a sweep's runs devices of its own,
   and nothing crosses the wire within a step.
2. **The batch.** It is global: "same batch" trains the same model on any number of devices, and
   ends where each has one example. "Batch x n" is another experiment: rates and the balance of
   the players were chosen for the batch that stands there, and how stable a GAN is at 64 times
   that is not measured here. Remedy: compare first, by `python -m experiments.sweep
   --grid="batch_size=64,256,1024"`.
3. **Batch statistics.** They are of the global batch, which keeps runs equal on any number of
   devices, and each is an all-reduce of its own, forward and backward, that nothing can overlap:
   {batch_norms}. Remedy: `--discriminator_norm=layer` or `none` where the model lets one choose.
4. **The strategy.** `--parallel=auto` is `shard_map` on several devices. With `--parallel=jit` the
   compiler chooses what is split: in the programs above it computes G whole on every device (FLOPs
   of all devices, "jit"), sends no gradient of G, those of D on real and on fake examples apart,
   and the random bits of dropout. Remedy: leave it at `auto`, the same model to rounding; with
   dropout, in distribution.
5. **Data.** A copy lies on each device while it takes a quarter of its memory at most; then steps
   move 4 bytes an example, its index. Past that, or with `--data_on=host`, each process hands its
   devices the rows of their share and no others: {rows}. Every process still holds the whole set
   in its own memory and reads it once at the start. Remedy for sets beyond that: there is none
   here.
6. **Checkpoints.** Written by process 0 from a copy on the host, while the others go on:
   {checkpoint}. Remedy where that is long beside `--checkpoint_every`: a larger cadence.
"""


def render(facts: dict[str, Any]) -> str:
  """Returns the page.

  Args:
    facts: command, date, machine, load, times, counts and steps, as `experiments.scaling` has them.
  """
  machine = facts["machine"]
  head = HEAD.format(**facts, processor=machine["processor"], jax=machine["packages"]["jax"])
  parts = (
    head,
    _times(facts),
    _bytes(facts["counts"]),
    _machines(),
    MODEL,
    *(_predictions(machine, facts["counts"]) for machine in MACHINES),
    _breaks(facts),
  )
  return "\n".join(parts)


def table(head: list[str], rows: list[list[str]]) -> str:
  """Returns a table in Markdown."""
  lines = [head, ["---"] * len(head), *rows]
  return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _times(facts):
  text = f"""## Step times on this machine (measured)

Milliseconds, the median of {facts["steps"]} steps; the batch is that of the whole step, however
many devices share it. The devices are simulated: they share the cores of one CPU, so more of them
do not make a step faster, and what is added is the cost of splitting and of collectives through
memory, or, for two processes with a device each, through gloo on loopback. "Host": two devices,
`shard_map`, data on the host.
"""
  times = facts["times"]
  columns = [
    ("1", "none"),
    *((n, strategy) for n in ("2", "4") for strategy in ("shard_map", "jit")),
  ]
  columns += [("2 processes", "shard_map"), ("data_on_host", "shard_map")]
  names = {"1": "1 device", "2": "2", "4": "4", "data_on_host": "host"}
  head = ["model", "batch", *(f"{names.get(n, n)}, {strategy}" for n, strategy in columns)]
  rows = [
    [
      name,
      str(CASES[name].config.batch_size),
      *(f"{times[n][name][strategy]:.1f}" for n, strategy in columns),
    ]
    for name in times["1"]
  ]
  return f"{text}\n{table(head, rows)}"


def _bytes(counts):
  text = """## Bytes on the wire in a step (exact)

What a step averages over devices: gradients, batch statistics, metrics, in float32. "Formula" is
4 (K |D| + |G| + (K + 3) S_G + (5 K + 2) S_D + metrics), where |.| are parameters and S means and
variances of batch normalisation; "shard_map" and "jit" are counted in the program that XLA
compiled for four devices, with the number of its collectives. In a ring each of n devices sends 2
(n - 1) / n of an all-reduce's bytes.
"""
  head = ["model", "G", "D", "statistics G, D", "formula", "shard_map", "jit"]
  head += ["FLOPs of all devices: shard_map, jit", "state"]
  return f"{text}\n{table(head, [_bytes_row(name, counts[name]) for name in counts])}"


def _bytes_row(name, count):
  sizes, ours, compiler = traffic.Sizes(**count["shard_map"]["sizes"]), *map(count.get, STRATEGIES)
  return [
    name,
    f"{sizes.generator:,}",
    f"{sizes.discriminator:,}",
    f"{sizes.generator_statistics:,}, {sizes.discriminator_statistics:,}",
    f"{traffic.step_bytes(sizes):,}",
    *(f"{found['bytes']:,} in {found['operations']}" for found in (ours, compiler)),
    f"{ours['flops']:.3g}, {compiler['flops']:.3g}",
    f"{ours['state'] / 1e6:.1f} MB",
  ]


STRATEGIES = ("shard_map", "jit")


def _machines():
  rows = [[m.name, *source[:2], source[2]] for m in MACHINES for source in m.sources]
  return f"## Published numbers\n\n{table(['machine', 'what', 'value', 'read at'], rows)}"


def _predictions(machine, counts):
  head = [machine.name]
  head += [f"{n}, {batch}" for batch in ("same batch", "batch x n") for n in COUNTS]
  rows = [_prediction(machine, name, counts[name]["shard_map"]) for name in counts]
  return table([*head, "latency"], rows)


def _prediction(machine, name, count):
  batch = CASES[name].config.batch_size
  cells = [
    _range(machine, count, n, grown) if grown or batch >= n else f"batch of {batch}"
    for grown in (False, True)
    for n in COUNTS
  ]
  compute = count["flops"] / COUNTS[0] / (machine.flops * max(UTILISATIONS))
  return [name, *cells, f"{1e6 * LATENCY_SHARE * compute / count['operations']:.2g} us"]


def _range(machine, count, devices, grown):
  shares = (predicted(machine, count, devices, use, grown) for use in UTILISATIONS)
  return " to ".join(f"{100 * share:.3g}" for share in shares) + " %"


def predicted(machine, count: dict[str, Any], devices: int, use: float, grown: bool) -> float:
  """Returns the efficiency of a step.

  Args:
    machine: one of MACHINES.
    count: flops and bytes of the step.
    devices: how many share it.
    use: the share of its peak that a device reaches.
    grown: whether each device has the whole batch, and not its share.
  """
  share = 1 if grown else devices
  compute = count["flops"] / share / (machine.flops * use)
  wire = traffic.ring_bytes(count["bytes"], devices) / machine.link(devices)
  return traffic.efficiency(compute, wire)


def _breaks(facts):
  counts = facts["counts"]
  operations = [count["shard_map"]["operations"] for count in counts.values()]
  return BREAKS.format(
    operations=f"{min(operations)} to {max(operations)}",
    batch_norms="; ".join(
      f"{name} has {count['shard_map']['operations']} all-reduces"
      for name, count in counts.items()
      if any(count["shard_map"]["sizes"][f"{player}_statistics"] for player in PLAYERS)
    ),
    rows="; ".join(_rows(name, facts["times"]) for name in facts["times"]["data_on_host"]),
    checkpoint="; ".join(_checkpoint(name, counts[name]["shard_map"]) for name in counts),
  )


PLAYERS = ("generator", "discriminator")


def _rows(name, times):
  shape, config = CASES[name].shape, CASES[name].config
  size = 8 if len(shape) == 1 else shape[0] * shape[1] * shape[2]
  step = size * config.batch_size * config.discriminator_steps
  host, kept = (times[n][name]["shard_map"] for n in ("data_on_host", "2"))
  return f"{name} {step / 1e3:.0f} kB a step, {host:.1f} ms beside {kept:.1f} (measured, 2 devices)"


def _checkpoint(name, count):
  saved = count["checkpoint"]
  return f"{name} {saved['bytes'] / 1e6:.2g} MB in {saved['seconds']:.1f} s (measured)"
