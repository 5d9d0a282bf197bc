"""A file system of its own for a test, that is small enough to be filled."""

import errno
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

POSTGRES = {"min_wal_size": "32MB", "max_wal_size": "48MB", "shared_buffers": "16MB"}
"""Settings of a PostgreSQL that fits in there."""
_LEFT_BYTES = 64 * 1024


class SmallDisk:
    """A mounted file system."""

    def __init__(self, path: Path) -> None:
        """`path` is where it is mounted."""
        self.path = path
        self._ballast = path / "ballast"

    def fill(self) -> None:
        """Leaves no room for a page more, whoever writes meanwhile."""
        try:
            self._ballast.write_bytes(bytes(shutil.disk_usage(self.path).free - _LEFT_BYTES))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise

    def free(self) -> None:
        """Gives back what `fill` took."""
        self._ballast.unlink()


@contextmanager
def small_disk(directory: Path, megabytes: int) -> Iterator[SmallDisk]:
    """Mounts one at a directory; skips the test where that is not allowed."""
    options = f"size={megabytes}m,mode=755"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(directory)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        yield SmallDisk(directory)
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)
