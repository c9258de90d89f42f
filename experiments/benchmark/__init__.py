"""Step times beside a peer's on the same machine, in one run: `python -m experiments.benchmark`."""
