"""Whose files the embedded stores are: PostgreSQL refuses to run as root."""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cli.problem import Problem

_NAME = "sensus"
_LAST_RESORT = "nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user of this system without rights of its own."""

    name: str
    uid: int
    gid: int


def store_account() -> Account | None:
    """The user the stores run as; None when we are a plain user and stay who we are.

    Run by root it is the system user `sensus`, made when missing, or `nobody` where no user can
    be made (a read-only /etc).
    """
    if os.geteuid() != 0:
        return None
    return _lookup(_NAME) or _create() or _lookup(_LAST_RESORT)


def hand_over(directory: Path, account: Account | None) -> None:
    """Makes `account` the owner of `directory` and all in it, readable by nobody else."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o700)
    except PermissionError as error:
        raise Problem(
            f"cannot use {directory}: {error.strerror}; it may belong to an earlier run as another "
            "user. Choose another --data-dir"
        ) from None
    if account is None or directory.stat().st_uid == account.uid:
        return
    for parent, directories, files in os.walk(directory):
        for name in (".", *directories, *files):
            os.chown(os.path.join(parent, name), account.uid, account.gid, follow_symlinks=False)


def _lookup(name: str) -> Account | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid)


def _create() -> Account | None:
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin")
    if useradd is None:
        return None
    options = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    subprocess.run(  # noqa: S603
        [useradd, *options, "--shell", "/usr/sbin/nologin", _NAME], capture_output=True, check=False
    )
    return _lookup(_NAME)
