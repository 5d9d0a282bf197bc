"""The examples in the agent's docstrings hold."""

import doctest

import pytest

from services.agent.machine import network, value


@pytest.mark.parametrize("module", [network, value], ids=lambda module: module.__name__)
def test_examples_hold(module: object) -> None:
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed
