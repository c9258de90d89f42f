"""The parameters that pages of networks state are those of the networks."""

import json

import pytest

from experiments.catalogue import networks
from gan.models import MODELS

STATED = json.loads(networks.COUNTS.read_text())


def test_every_network_has_its_counts_stated():
  assert list(STATED) == list(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_stated_parameters_are_those_of_the_network(name):
  assert STATED[name] == networks.parameters(name)
