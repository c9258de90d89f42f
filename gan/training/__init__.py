"""A run: its config and what is built of it, the loop, the run folder, checkpoints, samples."""
