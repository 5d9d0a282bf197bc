"""The examples in docstrings are true."""

import doctest
import importlib

import pytest

MODULES = (
    "services.explainer.evidence.calls",
    "services.explainer.llm.address",
    "services.explainer.llm.ranges",
    "services.explainer.model.names",
    "services.explainer.model.promql",
    "services.explainer.wording.figures",
    "services.explainer.checks.instants",
    "services.explainer.checks.known",
    "services.explainer.checks.numbers",
    "services.explainer.checks.orders",
    "services.explainer.wording.partial",
    "services.explainer.checks.units",
    "services.explainer.checks.unmarked",
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert (failed, tried > 0) == (0, True)
