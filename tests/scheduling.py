"""Which worker runs which tests, and in which order."""

import os
from pathlib import Path
from typing import Final

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

PRODUCT: Final = ("tests/e2e/test_scraped.py", "tests/e2e/", "tests/abuse/test_")
"""How the ids of tests begin that share one started product, in the order in which they run: first
those that need an idle one, last those that hurt it."""

ONE_BY_ONE: Final = ("tests/cli/test_up.py", "tests/detector/")
"""Files of long tests that share nothing dear."""

FIRST: Final = (*PRODUCT, "tests/cli/test_up.py", "tests/detector/test_")
"""What takes longest, so that no worker is left with it at the end."""


NEXT_ITEM: Final = pytest.StashKey[pytest.Item | None]()
"""In the config: what this worker runs after the current test."""


def drives_the_product(nodeid: str) -> bool:
    """Whether a test shares the started product."""
    return nodeid.startswith(PRODUCT)


class Scheduling(LoadScopeScheduling):
    """Gives a worker the tests of a file, for they share what the file starts.

    By the path, not by the mark `xdist_group`: from pytest 9.2 on pytest-xdist 3.8 passes that over
    in silence.
    """

    def _split_scope(self, nodeid: str) -> str:
        if drives_the_product(nodeid):
            return "product"
        return nodeid if nodeid.startswith(ONE_BY_ONE) else nodeid.partition("::")[0]

    def remove_node(self, node: WorkerController) -> str | None:
        """Gives the others what a worker that crashed has not begun; returns the test it ran.

        pytest-xdist hands on files that are done, too, for which nobody reports anything, so that
        the run never ends; and the test that crashed, of which the next worker would die.
        """
        workload = self.assigned_work.pop(node)
        waiting = [test for unit in workload.values() for test, done in unit.items() if not done]
        if not waiting:
            return None
        workload[self._split_scope(waiting[0])][waiting[0]] = True
        left = {scope: unit for scope, unit in workload.items() if not all(unit.values())}
        self.workqueue.update(left)
        for other in self.assigned_work:
            self._reschedule(other)
        return waiting[0]


def longest_first(items: list[pytest.Item]) -> None:
    """Moves the tests of `FIRST` to the front, in that order; the order is otherwise kept."""
    items.sort(key=lambda item: _place(item.nodeid))


def _place(nodeid: str) -> int:
    return next((n for n, each in enumerate(FIRST) if nodeid.startswith(each)), len(FIRST))


def claim(base: Path, name: str) -> None:
    """Fails when another worker of this run has started the product `name` too.

    Args:
        base: The directory of this worker for temporary files.
        name: Of the product.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:
        (base.parent / f"{name}.started").touch(exist_ok=False)
