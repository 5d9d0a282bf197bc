"""Which worker runs which tests, and in which order."""

import os
from pathlib import Path
from typing import Final

import pytest
from xdist.scheduler import LoadScopeScheduling

TOGETHER: Final = ("tests/abuse/test_", "tests/e2e/")
"""How the ids of tests begin that share one started product, over several files."""

ONE_BY_ONE: Final = ("tests/cli/test_up.py", "tests/detector/")
"""Files of long tests that share nothing dear."""

FIRST: Final = (
    "tests/cli/test_up.py",
    *TOGETHER,
    "tests/observability/test_served.py",
    "tests/detector/test_",
)
"""What takes longest, so that no worker is left with it at the end."""


class Scheduling(LoadScopeScheduling):
    """Gives a worker the tests of a file, for they share what the file starts.

    By the path, not by the mark `xdist_group`: from pytest 9.2 on pytest-xdist 3.8 passes that over
    in silence.
    """

    def _split_scope(self, nodeid: str) -> str:
        for group in TOGETHER:
            if nodeid.startswith(group):
                return group
        return nodeid if nodeid.startswith(ONE_BY_ONE) else nodeid.partition("::")[0]


def longest_first(items: list[pytest.Item]) -> None:
    """Moves the tests of `FIRST` to the front; the order is otherwise kept."""
    items.sort(key=lambda item: not item.nodeid.startswith(FIRST))


def claim(base: Path, name: str) -> None:
    """Fails when another worker of this run has started the product `name` too.

    Args:
        base: The directory of this worker for temporary files.
        name: Of the product.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:
        (base.parent / f"{name}.started").touch(exist_ok=False)
