"""Log files that stay small while processes write to them.

A process gets its log as standard output and error, opened for appending: nothing stands between,
so no slow reader holds it up and nothing is lost when the supervisor dies. What is old is copied
away and cut off at the front of the file that stays open.
"""

import asyncio
import ctypes
import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_COLLAPSE_RANGE = 0x08
_TAIL_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLimits:
    """When a log is cut, and how much of it is kept.

    Attributes:
        size_bytes: a larger file is cut at the next look.
        age_s: a file that was last cut longer ago is cut, too.
        kept: earlier parts kept beside the file, `NAME.log.1` the newest.
    """

    size_bytes: int = 10 * 1024 * 1024
    age_s: float = 24 * 3600.0
    kept: int = 4


class LogRotation:
    """Keeps the logs of one directory within their limits."""

    def __init__(
        self, directory: Path, limits: LogLimits | None = None, *, look_every_s: float = 1.0
    ) -> None:
        self._directory = directory
        self._limits = limits or LogLimits()
        self._look_every_s = look_every_s
        self._began_s = time.time()

    async def run(self) -> None:
        """Looks at every `*.log` for ever; a log that cannot be cut now is tried again.

        Cancelled, it ends the look that it has begun, so that nobody finds a log half moved.
        """
        while True:
            look = asyncio.ensure_future(asyncio.to_thread(self.look))
            try:
                await asyncio.shield(look)
            except OSError:
                pass
            except asyncio.CancelledError:
                await asyncio.gather(look, return_exceptions=True)
                raise
            await asyncio.sleep(self._look_every_s)

    def look(self) -> None:
        """Cuts what is due. Blocks for the copy of one part of each such log."""
        for log_file in self._directory.glob("*.log"):
            size_bytes = log_file.stat().st_size
            if size_bytes > self._limits.size_bytes or (size_bytes and self._is_old(log_file)):
                rotate(log_file, self._limits.kept)

    def _is_old(self, log_file: Path) -> bool:
        with suppress(FileNotFoundError):
            return time.time() - _part(log_file, 1).stat().st_mtime > self._limits.age_s
        return time.time() - self._began_s > self._limits.age_s


def rotate(log_file: Path, kept: int) -> None:
    """Moves what the log holds into `NAME.log.1`, and every earlier part one further.

    Where the file system can drop the front of a file (ext4, xfs), no byte is lost that is written
    meanwhile; elsewhere the lines of the microseconds between the last read and the cut are. On a
    full disk the content is dropped: a log must not keep a disk full.
    """
    _part(log_file, kept).unlink(missing_ok=True)
    for number in range(kept - 1, 0, -1):
        with suppress(FileNotFoundError):
            _part(log_file, number).replace(_part(log_file, number + 1))
    with log_file.open("r+b") as log:
        try:
            _move(log, _part(log_file, 1))
        except OSError:
            _part(log_file, 1).unlink(missing_ok=True)
            log.truncate(0)


def open_log(log_file: Path) -> BinaryIO:
    """The log of a process that is about to start, opened for appending."""
    log_file.parent.mkdir(parents=True, exist_ok=True)
    if log_file.exists() and log_file.stat().st_size > LogLimits().size_bytes:
        rotate(log_file, LogLimits().kept)
    return log_file.open("ab")


def log_tail(log_file: Path, *, lines: int = 12) -> str:
    """The last lines of a log, across its cut, for a message that says why a start failed."""
    text = _end_of(_part(log_file, 1)) + _end_of(log_file)
    return "\n".join(text.decode(errors="replace").splitlines()[-lines:])


def _part(log_file: Path, number: int) -> Path:
    return log_file.with_name(f"{log_file.name}.{number}")


def _move(log: BinaryIO, target: Path) -> None:
    block_bytes = os.fstatvfs(log.fileno()).f_bsize
    whole_bytes = (os.fstat(log.fileno()).st_size - 1) // block_bytes * block_bytes
    with target.open("wb") as part:
        os.chmod(part.fileno(), 0o600)
        _copy(log, part, whole_bytes)
        if not _collapse(log, whole_bytes):
            shutil.copyfileobj(log, part)
            log.truncate(0)


def _copy(log: BinaryIO, part: BinaryIO, size_bytes: int) -> None:
    while size_bytes > 0 and (chunk := log.read(min(size_bytes, 1 << 20))):
        part.write(chunk)
        size_bytes -= len(chunk)


def _collapse(log: BinaryIO, size_bytes: int) -> bool:
    """Drops the first `size_bytes`, whole blocks, in one step; False where that is not possible."""
    fallocate = getattr(ctypes.CDLL(None), "fallocate", None)
    if fallocate is None or size_bytes <= 0:
        return False
    fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    return bool(fallocate(log.fileno(), _COLLAPSE_RANGE, 0, size_bytes) == 0)


def _end_of(log_file: Path) -> bytes:
    try:
        with log_file.open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - _TAIL_BYTES))
            return log.read()
    except FileNotFoundError:
        return b""
