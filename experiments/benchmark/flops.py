"""How much arithmetic a case is: the products and convolutions that its mathematics needs.

A multiply-add is two operations. Element-wise work, batch statistics and optimisers count nothing;
nor does what one side computes without need. So the count is the same for both sides, and a share
of the matrix-product rate says how near a step is to one that is nothing but products.
"""

import math

from experiments.benchmark.cases import LATENT_DIM, SAMPLING_BATCH, Case

KERNEL = 4 * 4
Layers = list[int]  # multiply-adds of each layer for one example, from its inputs on


def step_flops(case: Case) -> int:
  """Returns the operations of a training step: k updates of D, one of G.

  With M_G and M_D multiply-adds of a forward pass, an update of D is one pass of G, and a pass of D
  with its two products backward for data and for samples, of which the first layer needs only that
  of its kernel. An update of G is one pass of each, one product backward for each layer of D, two
  for each layer of G but its first.
  """
  generator, discriminator = layers(case)
  d, g = sum(discriminator), sum(generator)
  update_d = g + 2 * (3 * d - discriminator[0]) + _penalty_products(case, discriminator)
  update_g = (g + d) + d + (2 * g - generator[0])
  return 2 * case.batch_size * (case.discriminator_steps * update_d + update_g)


def sampling_flops(case: Case) -> int:
  """Returns the operations of one call of the generator."""
  return 2 * SAMPLING_BATCH * sum(layers(case)[0])


def _penalty_products(case, discriminator):
  """The logit, its gradient in the image, and the two products of each that the next gradient has.

  Activations are linear in pieces: the second gradient does not pass through them. The gradient of
  the logit at the last layer's inputs is that layer's weights, no product. Where D treats training
  and inference alike, R1 finds the logits of the data computed.
  """
  if case.penalty == "none":
    return 0
  backward = sum(discriminator[:-1])
  known = case.penalty == "r1" and case.model == "dcgan"
  return (0 if known else sum(discriminator)) + 3 * backward


def layers(case: Case) -> tuple[Layers, Layers]:
  """Returns the multiply-adds of every layer of (G, D) for one example."""
  height, width, channels = case.image_shape
  return _LAYERS[case.model](height, channels)


def _dense(*widths):
  return [n * m for n, m in zip(widths[:-1], widths[1:], strict=True)]


def _mlp(size, channels):
  pixels = size * size * channels
  return _dense(LATENT_DIM, 256, 512, 1024, pixels), _dense(pixels, 1024, 512, 256, 1)


def _dcgan(size, channels):
  widths = [channels]
  while size / 2 ** (len(widths) - 1) > 7:
    widths.append(64 * 2 ** (len(widths) - 1))
  convolutions = _convolutions(size, widths)
  units = (size // 2 ** (len(widths) - 1)) ** 2 * widths[-1]
  return [LATENT_DIM * units, *convolutions[::-1]], [*convolutions, units]


def _convolutions(size, widths):
  """Strided convolutions from `size` pixels on; a transposed one needs as much as its adjoint."""
  ends = enumerate(zip(widths[:-1], widths[1:], strict=True), 1)
  return [KERNEL * math.prod(pair) * (size // 2**layer) ** 2 for layer, pair in ends]


def _infogan(size, channels):
  convolutions = _convolutions(size, [channels, 64, 128])
  units = 128 * (size // 4) ** 2
  generator = [*_dense(LATENT_DIM, 1024, units), *convolutions[::-1]]
  return generator, [*convolutions, *_dense(units, 1024, 1)]


_LAYERS = {"mlp": _mlp, "dcgan": _dcgan, "infogan": _infogan}
