"""Exact results on GANs: divergences by quadrature, and small games with known trajectories."""
