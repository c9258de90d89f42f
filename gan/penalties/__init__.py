"""Gradient penalties: pure functions of a discriminator, by the name that a user types.

A penalty is `(critic, real, fake, keys) -> [B]`. `critic` maps images [B, ...] to logits [B] and
treats every example apart; penalties come back per example, each from the norm of that example's
own gradient over all its pixels, and are averaged and weighted once, in the training step. There
`critic` is an AugmentedCritic.
"""

import functools
from collections.abc import Callable
from typing import Any

from gan.errors import look_up
from gan.penalties.approximated import (
  PART,
  SHARE,
  SIGMA,
  STEP,
  approx_r1_penalty,
  approx_r1r2_penalty,
  approx_r2_penalty,
)
from gan.penalties.base import OF_STEP, AugmentedCritic, Critic, Images, Penalty, PerExample
from gan.penalties.exact import (
  dragan_penalty,
  gradient_norm,
  gradient_squared_norm,
  interpolate,
  max_gradient_penalty,
  r1_penalty,
  r1r2_penalty,
  r2_penalty,
  wgan_gp_penalty,
  wgan_lp_penalty,
  zero_centred_penalty,
)
from gan.system.recipe import Recipe
from gan.system.schema import check

__all__ = [
  "OF_STEP",
  "PENALTIES",
  "AugmentedCritic",
  "Critic",
  "Images",
  "Penalty",
  "PerExample",
  "approx_r1_penalty",
  "approx_r1r2_penalty",
  "approx_r2_penalty",
  "dragan_penalty",
  "gradient_norm",
  "gradient_squared_norm",
  "interpolate",
  "make_penalty",
  "max_gradient_penalty",
  "r1_penalty",
  "r1r2_penalty",
  "r2_penalty",
  "wgan_gp_penalty",
  "wgan_lp_penalty",
  "with_options",
  "zero_centred_penalty",
]

_APPROXIMATED = (*OF_STEP, "approx_sigma", "approx_share")

PENALTIES: dict[str, Penalty] = {
  "none": Penalty(
    None,
    0.0,
    "0",
    "",
    options=(),
    use="where something else bounds D, such as spectral normalisation or clipped weights, and as a"
    " baseline",
  ),
  "wgan_gp": Penalty(
    wgan_gp_penalty,
    10.0,
    "(|grad D(x^)| - 1)^2",
    "Gulrajani et al. 2017, arXiv:1704.00028",
    use="with the loss `wgan`: it holds the critic's slope near 1 between data and samples",
  ),
  "wgan_lp": Penalty(
    wgan_lp_penalty,
    10.0,
    "max(0, |grad D(x^)| - 1)^2",
    "Petzka et al. 2018, arXiv:1709.08894",
    use="as `wgan_gp`, but only slopes above 1 are penalised, which is all that a Lipschitz bound "
    "asks",
  ),
  "gp0": Penalty(
    zero_centred_penalty,
    10.0,
    "|grad D(x^)|^2",
    "Thanh-Tung et al. 2019, arXiv:1902.03984",
    use="as `r1`, at points between data and samples; the source proposes it so that D generalises "
    "beyond the examples it has seen",
  ),
  "r1": Penalty(
    r1_penalty,
    10.0,
    "|grad D(x)|^2/2",
    "Mescheder et al. 2018, arXiv:1801.04406",
    use="as the first to try, with `nonsat` or any other loss: training then converges near the "
    "equilibrium, where without it the players may circle",
  ),
  "r2": Penalty(
    r2_penalty,
    10.0,
    "|grad D(G(z))|^2/2",
    "Mescheder et al. 2018, arXiv:1801.04406",
    use="beside `r1`, as in `r1r2`, or to compare with it: it flattens D at the samples, and not at"
    " data that no sample has reached",
  ),
  "r1r2": Penalty(
    r1r2_penalty,
    1.0,  # stacked MNIST; 0.05 on CIFAR-10
    "(|grad D(x)|^2 + |grad D(G(z))|^2)/2",
    "Huang et al. 2024, arXiv:2501.05441",
    use="with the loss `rsgan`, as in R3GAN, or where training diverges under `r1`, which leaves D "
    "steep at samples far from the data",
  ),
  "dragan": Penalty(
    dragan_penalty,
    10.0,
    "(|grad D(x + a n)| - 1)^2, n ~ std(batch) U[0, .5)",
    "Kodali et al. 2017, arXiv:1705.07215",
    keywords=("axis_name",),
    use="to hold D's slope near 1 around the data, with any loss and without samples",
  ),
  "approx_r1": Penalty(
    approx_r1_penalty,
    0.1,
    "((D(x + s e) - D(x))/s)^2/2, e ~ N(0, I)",
    "Lin et al. 2025, arXiv:2501.08316",
    options=_APPROXIMATED,
    use="as `r1`, where D cannot be differentiated twice, or only slowly, as through fused "
    "attention",
  ),
  "approx_r2": Penalty(
    approx_r2_penalty,
    0.1,
    "((D(G(z) + s e) - D(G(z)))/s)^2/2, e ~ N(0, I)",
    "GAT, 2026, arXiv:2509.24935",
    options=_APPROXIMATED,
    use="as `r2`, where D cannot be differentiated twice, or only slowly, as through fused "
    "attention",
  ),
  "approx_r1r2": Penalty(
    approx_r1r2_penalty,
    0.1,
    "((D(x + s e) - D(x))/s)^2/2 + ((D(G(z) + s e) - D(G(z)))/s)^2/2, e ~ N(0, I)",
    "GAT, 2026, arXiv:2509.24935",
    options=_APPROXIMATED,
    use="as `r1r2`, where D cannot be differentiated twice, or only slowly, as through fused "
    "attention",
  ),
  "max_gradient": Penalty(
    max_gradient_penalty,
    10.0,  # as in PyTorch-StudioGAN
    "max |grad D(x^)|^2, over the batch",
    "Zhou et al. 2019, arXiv:1902.05687",
    keywords=("axis_name",),
    use="to hold down D's slope at the steepest point of a batch, in the place of the mean over it",
  ),
}


def make_penalty(name: str, **options: Any) -> Penalty | None:
  """The penalty of that name with its options bound, called `(critic, real, fake, keys) -> [B]`.

  Options that the penalty does not take are left aside: the caller can pass all it has.

  Args:
    name: key of PENALTIES.
    **options: axis_name, approx_sigma, approx_share; see the functions.

  Returns:
    The Penalty, or None for "none".

  Raises:
    UserError: if no penalty has the name, `approx_sigma` is not above 0, or
      `approx_share` not in (0, 1].
  """
  penalty = look_up(PENALTIES, name, "penalty")
  check("approx_sigma", options.get("approx_sigma", SIGMA), STEP)
  check("approx_share", options.get("approx_share", SHARE), PART)
  if penalty.function is None:
    return None
  bound = _with_options(penalty, **options)
  recipe = Recipe(make_penalty, {"name": name} | options)
  return penalty if bound is penalty else bound._replace(recipe=recipe)


def with_options(
  penalty: Penalty | Callable[..., PerExample], **options: Any
) -> Penalty | Callable[..., PerExample]:
  """A penalty with its options bound; a function as it is.

  Args:
    penalty: a Penalty, or `(critic, real, fake, keys) -> [B]`.
    **options: axis_name; those that it does not take are left aside.
  """
  return _with_options(penalty, **options) if isinstance(penalty, Penalty) else penalty


def _with_options(penalty: Penalty, **options: Any) -> Penalty:
  taken = {*penalty.keywords, *penalty.options} - {*OF_STEP}
  bound = {option: value for option, value in options.items() if option in taken}
  if penalty.function is None or not bound:
    return penalty
  left = [
    tuple(name for name in names if name not in bound)
    for names in (penalty.keywords, penalty.options)
  ]
  function = functools.partial(penalty.function, **bound)
  return penalty._replace(function=function, keywords=left[0], options=left[1])
