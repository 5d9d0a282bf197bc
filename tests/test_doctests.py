"""Every example in a docstring holds."""

import doctest
import importlib
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
ROOMS: Final = ("bench", "cli", "mesh", "services")
EXAMPLES: Final = sorted(
    each.relative_to(ROOT)
    for room in ROOMS
    for each in (ROOT / room).rglob("*.py")
    if ">>> " in each.read_text()
)


@pytest.mark.parametrize("path", EXAMPLES, ids=str)
def test_examples_hold(path: Path) -> None:
    module = importlib.import_module(".".join(path.with_suffix("").parts))
    failed, tried = doctest.testmod(module)
    assert tried
    assert not failed
