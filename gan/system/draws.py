"""How keys of draws are kept apart."""

BEYOND = 2**31  # folded into a key for draws beyond those that it is split for, or counted from 0
