"""The bench that takes parts out of the engine finds each of them."""

import pytest

from bench.detect_ablation import CHANGES, ENGINE
from services.detector.detectors.contexts import FEATURES


def test_every_context_and_the_forest_can_be_taken_out() -> None:
    assert {*FEATURES, "forest"} == {name for name, change in CHANGES.items() if change}


@pytest.mark.parametrize("part", [name for name, change in CHANGES.items() if change])
def test_what_is_taken_out_stands_in_the_engine_once(part: str) -> None:
    file, old, new = CHANGES[part] or ("", "", "")
    source = (ENGINE / file).read_text()
    assert source.count(old) == 1
    compile(source.replace(old, new), file, "exec")
