"""A fair comparison of losses: each at the best of its own settings."""
