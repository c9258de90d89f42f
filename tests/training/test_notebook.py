"""`gan.fit` in the cells of a notebook, in a process that is as ipykernel leaves one.

Cells run in the main thread, inside of a running event loop; streams have no file beneath them;
the command line is the kernel's; Ctrl-C is a signal that Python turns into KeyboardInterrupt.
"""

import json
import os
import subprocess
import sys
import textwrap

import pytest
from conftest import ROOT

KERNEL = textwrap.dedent("""
  import asyncio, io, json, os, signal, sys, threading

  class OutStream(io.TextIOBase):
    text, at = "", None

    def write(self, text):
      self.text += text
      if self.at and self.at in self.text:
        self.at = None
        os.kill(os.getpid(), signal.SIGINT)  # as "interrupt the kernel" does
      return len(text)

    def isatty(self):
      return False

  CELLS = [
    '''
  import flax.linen as nn, jax, numpy as np
  import gan

  class G(nn.Module):
    @nn.compact
    def __call__(self, z):
      return nn.Dense(2)(nn.tanh(nn.Dense(8)(z)))

  class D(nn.Module):
    @nn.compact
    def __call__(self, x):
      return nn.Dense(1)(nn.tanh(nn.Dense(8)(x)))[:, 0]

  game = gan.Game(generator=gan.from_linen(G()), discriminator=gan.from_linen(D()))
  images = np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32)
  every = {"workdir": "run", "batch_size": 8, "sample_every": 2, "steps_per_call": 1}
    ''',
    "run = gan.fit(game, images, steps=4, **every)",
    "run = gan.fit(game, images, steps=1000, **every)",
    "images = gan.load('run', game).sample(4, jax.random.key(0))",
  ]

  async def kernel(names, out, err):
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number, cell in enumerate(CELLS):
      signal.signal(signal.SIGINT, signal.default_int_handler)
      before, out.text, err.text = [signal.getsignal(s) for s in signals], "", ""
      err.at = "step 6/" if number == 2 else None
      exec(compile(cell, f"<cell {number}>", "exec"), names)
      same = before == [signal.getsignal(s) for s in signals]
      summary = names["run"].summary if "run" in names else {}
      yield {
        "said": err.text,
        "printed": out.text,
        "signals": same,
        "status": summary.get("status"),
        "step": summary.get("step"),
      }

  async def main():
    out, err, found = OutStream(), OutStream(), []
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = out, err
    # The names of a notebook are those of a __main__ without a file.
    names = vars(sys.modules["__main__"])
    try:
      async for cell in kernel(names, out, err):
        found.append(cell)
        await asyncio.sleep(0)  # the loop still turns
    finally:
      sys.stdout, sys.stderr = streams
    print(json.dumps({"cells": found, "shape": names["images"].shape}))

  sys.argv = ["ipykernel_launcher.py", "-f", "kernel.json"]
  asyncio.run(main())
""")


@pytest.mark.cluster
def test_cells_train_are_interrupted_and_sample(tmp_path):
  environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
  command = [sys.executable, "-c", KERNEL]
  done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
  assert done.returncode == 0, done.stderr
  found = json.loads(done.stdout)
  _, trained, interrupted, drawn = found["cells"]
  assert all(cell["signals"] and not cell["printed"] for cell in found["cells"])
  assert (trained["status"], trained["step"]) == ("finished", 4)
  # Lines, and no bar: a cell keeps all that it is sent.
  first, *lines = trained["said"].splitlines()
  assert first == "compiling the step"
  assert [line.split()[:2] for line in lines] == [["step", "2/4"], ["step", "4/4"]]
  assert interrupted["status"] == "interrupted" and 6 <= interrupted["step"] < 1000
  begins = ["Continuing from step 4.", first, "step 6/1000 "]
  assert interrupted["said"].startswith("\n".join(begins))
  assert "Interrupted; step" in interrupted["said"] and "\r" not in interrupted["said"]
  assert found["shape"] == [4, 2] and drawn["said"] == ""
