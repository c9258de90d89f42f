"""Times beside others on the same machine, in one run: `python -m experiments.benchmark`."""
