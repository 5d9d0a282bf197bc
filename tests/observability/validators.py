"""The field's own tools, and what they say."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from observability.services import REPOSITORY

PLACES = f"{REPOSITORY / '.validators/bin'}:{REPOSITORY / '.validators/venv/bin'}"


def tool(name: str) -> str:
    """The path of a validator; skips where it cannot be had."""
    found = shutil.which(name) or shutil.which(name, path=PLACES)
    if found is None:
        pytest.skip(f"{name} is not installed here; tools/get-validators.sh says how to get it")
    return found


def accepted(command: Sequence[str | Path], *, cwd: Path = REPOSITORY) -> str:
    """What the command prints; fails with its words when it does not accept what it is given."""
    done = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout
