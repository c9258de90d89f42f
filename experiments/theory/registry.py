"""Every case, by the name that a user types; the docstring of its `run` is its heading."""

from collections.abc import Callable

from experiments.theory import (
  approximated_penalty,
  augmentation_leak,
  bilinear,
  dirac,
  dirac_matrix,
  fgan_gaussian,
  generator_costs,
  lazy_penalty,
  logit_drift,
  mixtures,
  optimal_discriminator,
  parallel_lines,
  parzen,
  r3gan_toy,
  two_cluster,
  two_point,
  unrolled,
  vanishing_gradient,
  wgan_gp_critic,
)
from experiments.theory.case import Result, Settings

CASES: dict[str, Callable[[Settings], Result]] = {
  "generator_costs": generator_costs.run,
  "vanishing_gradient": vanishing_gradient.run,
  "optimal_discriminator": optimal_discriminator.run,
  "fgan_gaussian": fgan_gaussian.run,
  "dirac": dirac.run,
  "dirac_matrix": dirac_matrix.run,
  "bilinear": bilinear.run,
  "parallel_lines": parallel_lines.run,
  "two_point": two_point.run,
  "two_cluster": two_cluster.run,
  "unrolled": unrolled.run,
  "wgan_gp_critic": wgan_gp_critic.run,
  "r3gan_toy": r3gan_toy.run,
  "logit_drift": logit_drift.run,
  "approximated_penalty": approximated_penalty.run,
  "lazy_penalty": lazy_penalty.run,
  "mixtures": mixtures.run,
  "parzen": parzen.run,
  "augmentation_leak": augmentation_leak.run,
}

# How long the full run of a case takes that is not among `all`.
LONG = {"mixtures": "many hours", "parzen": "hours, and MNIST"}
# Those of `all` that take longest, the longest first.
HEAVY = ("unrolled", "wgan_gp_critic", "vanishing_gradient", "r3gan_toy", "lazy_penalty")
NEED_DATA = ("parzen",)
# Cases that do not read a flag.
WITHOUT = {
  "seeds": {
    "generator_costs",
    "dirac",
    "dirac_matrix",
    "bilinear",
    "two_point",
    "approximated_penalty",
  },
  "data_dir": set(CASES) - {"vanishing_gradient", "parzen"},
  "workdir": set(CASES) - {"vanishing_gradient", "parzen"},
}


def every_case(*, quick: bool) -> list[str]:
  """Returns the cases that `all` stands for: those that run anywhere, within the hour."""
  return [name for name in CASES if name not in (NEED_DATA if quick else LONG)]
