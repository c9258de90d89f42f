"""A run that was killed and started again ends as one that was never stopped, to the bit."""

import jax
import kill_and_resume
import pytest


@pytest.fixture(autouse=True)
def shared_compilation_cache(monkeypatch):
  monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", jax.config.jax_compilation_cache_dir)
  monkeypatch.setenv("JAX_PLATFORMS", "cpu")


@pytest.mark.cluster
@pytest.mark.parametrize(
  "flags",
  [
    ["--model=mlp", "--steps=100", "--batch_size=16", "--augment_control=apa", "--ada_speed=999"],
    pytest.param(
      ["--model=dcgan", "--width=4", "--steps=200", "--batch_size=8", "--conditional"],
      marks=pytest.mark.slow,  # minutes
    ),
  ],
  ids=lambda flags: flags[0],
)
def test_a_killed_run_ends_as_an_unbroken_one_to_the_bit(flags, capsys):
  assert kill_and_resume.main(flags) == 0, capsys.readouterr().out
  lines = capsys.readouterr().out.splitlines()
  assert sum(line.startswith("ok") for line in lines) == 4


@pytest.mark.cluster
def test_the_script_notices_a_difference(tmp_path):
  """Two runs of different seeds are equal in nothing that is compared."""
  runs = [tmp_path / str(seed) for seed in (0, 1)]
  flags = ["--model=mlp", "--batch_size=4", "--split=train[:20]"]
  for seed, folder in enumerate(runs):
    kill_and_resume.run_to_end(kill_and_resume.command(folder, 8, [*flags, f"--seed={seed}"]))
  assert list(kill_and_resume.compare(*runs).values()) == [False] * 3
  assert list(kill_and_resume.compare(runs[0], runs[0]).values()) == [True] * 3
