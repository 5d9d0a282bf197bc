"""The examples in docstrings are true."""

import doctest
import importlib

import pytest

MODULES = (
    "services.explainer.claims.figures",
    "services.explainer.evidence.counters",
    "services.explainer.evidence.graph",
    "services.explainer.evidence.traces",
    "services.explainer.model.names",
    "services.explainer.model.promql",
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert (failed, tried > 0) == (0, True)
