"""The comparison of losses, drawn from run folders alone: no JAX, no run needs to be finished."""
