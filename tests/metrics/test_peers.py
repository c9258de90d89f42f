"""Metrics beside the libraries of others, on the same features."""

import numpy as np
import pytest

from gan.metrics import kernel
from gan.metrics.classifier_score import classifier_score
from gan.metrics.density_coverage import density_coverage
from gan.metrics.frechet import frechet_distance
from gan.metrics.precision_recall import precision_recall

RNG = np.random.default_rng(0)
MIXING = RNG.normal(size=(12, 12))
REAL = RNG.normal(size=(300, 12)) @ MIXING
FAKE = 0.8 * RNG.normal(size=(300, 12)) @ MIXING + 0.3
EXTRA = "is in the extra bench"


def torch_fidelity(name):
  torch = pytest.importorskip("torch", reason=f"PyTorch {EXTRA}")
  pytest.importorskip("torch_fidelity", reason=f"torch-fidelity {EXTRA}")
  return torch, pytest.importorskip(f"torch_fidelity.metric_{name}")


def test_the_frechet_distance_is_that_of_torch_fidelity():
  torch, peer = torch_fidelity("fid")
  both = [peer.fid_features_to_statistics(torch.from_numpy(each)) for each in (FAKE, REAL)]
  expected = peer.fid_statistics_to_metric(*both, verbose=False)["frechet_inception_distance"]
  assert frechet_distance(REAL, FAKE) == pytest.approx(expected, rel=1e-6)


def test_precision_and_recall_are_those_of_torch_fidelity():
  torch, peer = torch_fidelity("prc")
  # Samples first. Before 0.4.0 the two numbers were exchanged.
  fake, real = torch.from_numpy(FAKE), torch.from_numpy(REAL)
  found = peer.prc_features_to_metric(fake, real, verbose=False)
  expected = found["precision"], found["recall"]
  assert precision_recall(REAL, FAKE) == pytest.approx(expected, abs=1e-6)
  assert expected[0] > expected[1] + 0.1  # they are told apart


def test_the_kernel_distance_of_one_block_is_that_of_torch_fidelity():
  _, peer = torch_fidelity("kid")
  expected = peer.kernel_mmd(FAKE, REAL, kid_kernel="poly", kid_kernel_poly_degree=3)
  assert kernel._unbiased_mmd(REAL, FAKE) == pytest.approx(expected, rel=1e-6)


def test_the_classifier_score_is_the_inception_score_of_torch_fidelity():
  torch, peer = torch_fidelity("isc")
  found = peer.isc_features_to_metric(torch.from_numpy(FAKE), splits=10, shuffle=False)
  probabilities = np.exp(FAKE) / np.exp(FAKE).sum(axis=1, keepdims=True)
  expected = found["inception_score_mean"], found["inception_score_std"]
  assert classifier_score(probabilities) == pytest.approx(expected, rel=1e-6)


def test_density_and_coverage_are_those_of_their_authors():
  peer = pytest.importorskip("prdc", reason=f"prdc {EXTRA}")
  found = peer.compute_prdc(REAL, FAKE, nearest_k=5)
  expected = found["density"], found["coverage"]
  assert density_coverage(REAL, FAKE) == pytest.approx(expected, rel=1e-6)


def test_the_kernel_distance_is_that_of_clean_fid():
  peer = pytest.importorskip("cleanfid.fid", reason=f"clean-fid {EXTRA}")
  expected = peer.kernel_distance(FAKE, REAL, num_subsets=1)
  assert kernel._unbiased_mmd(REAL, FAKE) == pytest.approx(expected, rel=1e-6)
