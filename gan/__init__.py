"""GAN research in JAX: any adversarial loss, compared fairly, on one device or many."""
