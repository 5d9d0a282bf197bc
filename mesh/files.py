"""Files that others may replace while a process runs."""

from pathlib import Path


def state_of(path: Path) -> tuple[int, ...]:
    """Differs from the state before as soon as a file was written to or another took its place.

    By the time alone a second change within one tick of the kernel, some milliseconds, would go
    unseen.

    Raises:
        OSError: It cannot be asked for.
    """
    facts = path.stat()
    return facts.st_mtime_ns, facts.st_ino, facts.st_size
