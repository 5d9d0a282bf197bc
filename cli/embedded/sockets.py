"""Where a store's Unix socket lives: beside its data, or in a short place if that path is long."""

import hashlib
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from cli.problem import Problem
from cli.processes.account import Account, hand_over

MAX_SOCKET_PATH_BYTES = 103  # sun_path of macOS and the BSDs, with its NUL; Linux has 4 more


def socket_directory(directory: Path, socket_name: str, account: Account | None) -> Path:
    """A directory only `account` may enter, in which a socket of that name fits.

    The same `directory` always gives the same answer, so that an older run's socket is found.
    """
    if _fits(directory / socket_name):
        return directory
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:12]
    for place in (tempfile.gettempdir(), "/tmp"):  # noqa: S108  the directory made in it is 0700
        short = Path(place) / f"sensus-{digest}"
        if _fits(short / socket_name):
            return _private(short, account)
    raise Problem(
        f"no directory is short enough for a Unix socket: set TMPDIR shorter than {place}"
    )


def leave(short: Path, directory: Path) -> None:
    """Removes the short place when nothing is in it any more; `directory` itself stays."""
    if short != directory:
        with suppress(OSError):
            short.rmdir()


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES


def _private(directory: Path, account: Account | None) -> Path:
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    trusted = {os.geteuid(), account.uid if account else os.geteuid()}
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in trusted:
        raise Problem(f"{directory} belongs to user id {found.st_uid}; remove it and start again")
    hand_over(directory, account)
    return directory
