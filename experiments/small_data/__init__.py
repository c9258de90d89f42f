"""The study of few data: what helps where the discriminator can learn its examples by heart."""
