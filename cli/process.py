"""One child process on a leash: spawn, stop, tail of its log."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cli.embedded.account import Account

_LEASH = Path(__file__).with_name("leash.py")
_LOG_KEPT_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run and how it is to end.

    Attributes:
        command: the program's absolute path and its arguments.
        log_file: receives standard output and error, appended.
        environment: the whole environment of the child; None inherits ours.
        account: user to run as; None stays who we are.
        directory: working directory; must be open to `account`.
        orphan_signal: sent by the kernel when we die without stopping the child.
    """

    command: Sequence[str]
    log_file: Path
    environment: Mapping[str, str] | None = None
    account: Account | None = None
    directory: Path | None = None
    orphan_signal: signal.Signals = signal.SIGTERM


async def spawn(program: Program) -> asyncio.subprocess.Process:
    """Starts `program` in a session of its own, so a Ctrl-C in the terminal does not reach it.

    Must be called on the main thread: the kernel ties the leash to the thread that forks.
    """
    with _open_log(program.log_file) as log:
        return await asyncio.create_subprocess_exec(
            *_leash(program),
            *program.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=program.environment,
            cwd=program.directory,
            start_new_session=True,
        )


async def stop(
    process: asyncio.subprocess.Process, signals: Sequence[tuple[signal.Signals, float]]
) -> int:
    """Sends each signal in turn, waiting its seconds, and SIGKILL last; returns the exit status."""
    for number, wait_s in signals:
        if process.returncode is not None:
            break
        process.send_signal(number)
        try:
            return await asyncio.wait_for(process.wait(), wait_s)
        except TimeoutError:
            continue
    if process.returncode is None:
        process.kill()
    return await process.wait()


def log_tail(log_file: Path, *, lines: int = 12) -> str:
    """The last lines of a log, for a message that says why a start failed."""
    if not log_file.exists():
        return ""
    return "\n".join(log_file.read_text(errors="replace").splitlines()[-lines:])


def _open_log(log_file: Path) -> BinaryIO:
    log_file.parent.mkdir(parents=True, exist_ok=True)
    if log_file.exists() and log_file.stat().st_size > _LOG_KEPT_BYTES:
        log_file.replace(log_file.with_suffix(".log.1"))
    return log_file.open("ab")


def _leash(program: Program) -> list[str]:
    leash = [sys.executable, "-IS", str(_LEASH)]
    leash += [f"--parent={os.getpid()}", f"--signal={int(program.orphan_signal)}"]
    if program.account:
        leash += [f"--uid={program.account.uid}", f"--gid={program.account.gid}"]
    if program.directory:
        leash.append(f"--reach={program.directory}")
    return [*leash, "--"]
