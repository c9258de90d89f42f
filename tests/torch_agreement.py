"""A network and its peer in PyTorch, with the same weights: equal outputs, equal gradients."""

import jax
import numpy as np

KEY = jax.random.key(0)


def channels_first(images):
  return np.asarray(images).transpose(0, 3, 1, 2) if images.ndim == 4 else np.asarray(images)


def check(ours, theirs, shape, labels, train):
  """Outputs agree to 1e-5, and gradients of inputs and of parameters to 1e-4.

  Args:
    ours: a Network.
    theirs: a torch module that `torch_resnet.load` can fill.
    shape: of inputs, channels last.
    labels: [B], or None.
    train: whether the batch's statistics are used, and the power iteration moves.
  """
  import torch

  from experiments.benchmark import torch_resnet

  params, state = jax.jit(ours.init)(KEY)
  draw = np.random.default_rng(0).standard_normal
  params = jax.tree.map(lambda leaf: leaf + 0.1 * draw(leaf.shape, np.float32), params)
  torch_resnet.load(theirs, params, state.get("spectral", {}))
  inputs = draw(shape, np.float32)

  def run(params, inputs):
    return ours.apply(params, state, inputs, labels, train=train, key=KEY)[0]

  weights = draw(jax.eval_shape(run, params, inputs).shape, np.float32)
  outputs, pull = jax.vjp(jax.jit(run), params, inputs)
  of_params, of_inputs = pull(weights)

  theirs_in = torch.tensor(channels_first(inputs), requires_grad=True)
  given = None if labels is None else torch.tensor(np.asarray(labels))
  expected = theirs.train(train)(theirs_in, given)
  expected.backward(torch.tensor(channels_first(weights)))
  np.testing.assert_allclose(channels_first(outputs), expected.detach(), rtol=1e-5, atol=1e-5)
  largest = np.abs(of_inputs).max()
  np.testing.assert_allclose(channels_first(of_inputs), theirs_in.grad, atol=1e-4 * largest)
  gradients = torch_resnet.leaves(theirs, of_params)
  assert set(gradients) == {name for name, _ in theirs.named_parameters()}
  found = {name: theirs.get_parameter(name).grad.numpy() for name in gradients}
  # Those of biases before batch normalisation are 0 but for rounding.
  largest = max(np.abs(each).max() for each in found.values())
  for name, gradient in gradients.items():
    np.testing.assert_allclose(gradient, found[name], 1e-4, 1e-5 * largest, err_msg=name)
