"""GAN research in JAX: any adversarial loss, compared fairly, on one device or many."""

__version__ = "0.1.0"
