"""Who runs which tests, also when a worker dies."""

import subprocess
import sys
from pathlib import Path

from observability.services import REPOSITORY

CONFTEST = """
import pytest
from tests.scheduling import Scheduling

@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return Scheduling(config, log)
"""
CRASHES = """
import os

def test_before():
    pass

def test_of_which_a_worker_dies():
    os._exit(3)

def test_after():
    pass
"""


def test_run_ends_when_a_worker_dies_and_no_other_test_is_lost(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    for number in range(6):
        (tmp_path / f"test_fine_{number}.py").write_text("def test_fine():\n    pass\n")
    (tmp_path / "test_last.py").write_text(CRASHES)
    command = [sys.executable, "-m", "pytest", "-n", "2", "--no-loadscope-reorder", "-p",
               "no:cacheprovider", str(tmp_path)]  # fmt: skip
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(REPOSITORY)}, capture_output=True,
        text=True, timeout=300, check=False,
    )  # fmt: skip
    assert "1 failed, 8 passed" in done.stdout, done.stdout
    assert "crashed while running 'test_last.py::test_of_which_a_worker_dies'" in done.stdout
