"""A lock on a directory that the kernel releases when its holder dies, however it dies."""

import errno
import fcntl
import os
from pathlib import Path

from cli.problem import Problem


def not_yours(directory: Path) -> str:
    """What is said about a data directory that another user made."""
    return f"{directory} belongs to another user; become that user or choose another --data-dir"


class DirectoryLock:
    """Exclusive use of `directory` by one process, through an flock on `directory/lock`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file_descriptor: int | None = None

    def acquire(self) -> None:
        """Takes the lock; Problem, naming the holder, when another process has it."""
        path = self._directory / "lock"
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(path, flags, 0o600)
        except PermissionError:
            raise Problem(not_yours(self._directory)) from None
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            raise Problem(f"{path} is a link; remove it and start again") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode() or "unknown"
            os.close(descriptor)
            raise Problem(
                f"{self._directory} is already in use by process {holder}; "
                "stop that one or choose another --data-dir"
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        self._file_descriptor = descriptor

    def release(self) -> None:
        """Gives the lock back; harmless when it is not held."""
        if self._file_descriptor is not None:
            os.close(self._file_descriptor)
            self._file_descriptor = None
