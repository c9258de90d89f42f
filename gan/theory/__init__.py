"""What is known exactly of GANs: divergences by quadrature, small games and their course."""
