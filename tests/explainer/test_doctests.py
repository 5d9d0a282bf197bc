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
    "services.explainer.wording.instants",
    "services.explainer.wording.known",
    "services.explainer.wording.numbers",
    "services.explainer.wording.orders",
    "services.explainer.wording.partial",
    "services.explainer.wording.units",
    "services.explainer.wording.unmarked",
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert (failed, tried > 0) == (0, True)
