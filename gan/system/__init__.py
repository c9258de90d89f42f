"""The machine and its files: what is read of them and how, compilation, memory, progress."""
