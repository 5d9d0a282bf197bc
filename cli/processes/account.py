"""The user without rights that stores and services run as when the product is started by root."""

import fcntl
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


def child_account() -> Account | None:
    """The user of the children; None when we are a plain user and stay who we are.

    Run by root it is the system user `sensus`, made when missing, or `nobody` where no user can
    be made (a read-only /etc).
    """
    if os.geteuid() != 0:
        return None
    return _lookup(_NAME) or _create() or _lookup(_LAST_RESORT)


def hand_over(path: Path, account: Account | None) -> None:
    """Makes `account` the owner of a file or a directory with all in it, for nobody else to read.

    A directory that is missing is made; one that is the account's already is not walked again.
    """
    try:
        if not path.exists():
            path.mkdir(parents=True)
        path.chmod(0o700 if path.is_dir() else 0o600)
    except PermissionError as error:
        raise Problem(
            f"cannot use {path}: {error.strerror}; it may belong to an earlier run as another "
            "user. Choose another --data-dir"
        ) from None
    if account is None or path.stat().st_uid == account.uid:
        return
    for parent, directories, files in os.walk(path):
        for name in (*directories, *files):
            os.chown(os.path.join(parent, name), account.uid, account.gid, follow_symlinks=False)
    os.chown(path, account.uid, account.gid, follow_symlinks=False)


def write_owned(path: Path, text: str, account: Account | None) -> None:
    """Writes a file that `account` alone may read, whole or not at all.

    Safe in a directory that the account can write to: no link that it left there is followed.
    """
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(fresh, flags, 0o600), "w") as file:
        file.write(text)
        if account is not None:
            os.fchown(file.fileno(), account.uid, account.gid)
    fresh.replace(path)


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
    command = [useradd, *options, "--shell", "/usr/sbin/nologin", _NAME]
    # two useradd at once both make the user, with two ids, of which the second stays
    lock = os.open("/etc", os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _lookup(_NAME) is None:
            subprocess.run(command, capture_output=True, check=False)  # noqa: S603
    finally:
        os.close(lock)
    return _lookup(_NAME)
