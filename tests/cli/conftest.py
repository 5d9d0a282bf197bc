"""Places for the processes of these tests."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def shared_directory() -> Iterator[Path]:
    """A directory that users other than ours can reach; pytest's own are closed to them."""
    with tempfile.TemporaryDirectory(prefix="sensus-") as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)
