"""The supported Pythons that this machine has; each is asked, so only the long tests look."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_SUPPORTED = ("3.11", "3.12", "3.13", "3.14")


def _found() -> Iterator[str]:
    for version in _SUPPORTED if "SENSUS_LONG_TESTS" in os.environ else ():
        kept = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}"))
        for program in (shutil.which(f"python{version}"), *map(str, kept)):
            if program and _starts(program):
                yield program
                break


def _starts(program: str) -> bool:
    return subprocess.run([program, "-c", "import venv"], capture_output=True).returncode == 0


def _id(program: str) -> str:
    return Path(program).name


PYTHONS = [
    pytest.param(sys.executable, id="this"),
    *(pytest.param(program, id=_id(program), marks=pytest.mark.long) for program in _found()),
]
"""The one that runs the tests, and in the long tests every other one."""
