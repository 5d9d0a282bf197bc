"""The examples in the maths beside the engine run as written."""

import doctest
from types import ModuleType

import pytest

from services.detector.detectors import evaluation, strictness, threshold


@pytest.mark.parametrize("module", [evaluation, strictness, threshold])
def test_examples_hold(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0
