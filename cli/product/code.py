"""The code of the services: where it lies, and where what is compiled of it is kept."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from cli.processes.account import Account, hand_over
from cli.processes.process import Program, command_line
from cli.product.directory import DataDirectory

_CODE = Path(__file__).resolve().parents[2]
_SERVICES = _CODE / "services"
_MACHINE_CACHE = Path("/var/cache/sensus")


def code_directories() -> list[Path]:
    """Where the interpreter and what it imports lie: open to whom a service runs as."""
    places = [Path(place) for place in (sys.base_prefix, *sys.path)]
    return [place for place in dict.fromkeys(places) if place.is_dir()]


def cache_environment(directory: DataDirectory, account: Account | None) -> dict[str, str]:
    """Where a service keeps compiled code, when it cannot write beside its sources.

    A machine-wide account has a machine-wide cache, so that a new data directory starts as fast as
    an old one; otherwise the data directory has it.
    """
    if account is None:
        if os.access(_CODE, os.W_OK):
            return {}
        hand_over(directory.cache, None)
        return {"NUMBA_CACHE_DIR": str(directory.cache)}
    shared = os.access(_MACHINE_CACHE.parent, os.W_OK)
    cache = _MACHINE_CACHE if shared else directory.cache
    hand_over(cache, account)
    _copy_compiled(cache, account)
    return {"NUMBA_CACHE_DIR": str(cache), "HOME": str(cache)}


def _copy_compiled(cache: Path, account: Account) -> None:
    """Spares the account what root has compiled beside the sources.

    Copied by the account itself: root writes nothing into a directory that another user can change.
    What cannot be read or copied is compiled again.
    """
    copy = shutil.which("cp", path="/usr/bin:/bin")
    if copy is None:
        return
    for beside in sorted({path.parent for path in _SERVICES.rglob("__pycache__/*.nbi")}):
        target = cache / kept_in(beside.parent)
        command = ["/bin/sh", "-c", 'mkdir -p "$0" && exec "$@" "$0"', str(target), copy, "-u"]
        program = Program(
            command=[*command, *map(str, beside.glob("*.nb[ic]"))],
            log_file=Path(os.devnull),
            account=account,
        )
        subprocess.run(command_line(program), cwd="/", capture_output=True, check=False)  # noqa: S603


def kept_in(sources: Path) -> str:
    """The directory of numba's cache that belongs to a directory of sources.

    Numba knows it too, but takes half a second to be imported.
    """
    digest = hashlib.sha1(str(sources).encode(), usedforsecurity=False).hexdigest()
    return f"{sources.name}_{digest}"
