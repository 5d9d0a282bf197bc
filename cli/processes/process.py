"""One child process on a leash: spawn and stop."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.processes.account import Account
from cli.processes.logs import open_log

_LEASH = Path(__file__).with_name("leash.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run and how it is to end.

    Attributes:
        command: the program's absolute path and its arguments.
        log_file: receives standard output and error, appended.
        environment: the whole environment of the child; None inherits ours.
        account: user to run as; None stays who we are.
        directory: working directory; must be open to `account`.
        reach: further directories that must be open to it, such as those of its code.
        orphan_signal: sent by the kernel when we die without stopping the child.
    """

    command: Sequence[str]
    log_file: Path
    environment: Mapping[str, str] | None = None
    account: Account | None = None
    directory: Path | None = None
    reach: Sequence[Path] = ()
    orphan_signal: signal.Signals = signal.SIGTERM


def command_line(program: Program) -> list[str]:
    """What to execute so that `program` runs on the leash, as its account.

    The leash changes the user after exec. `subprocess` would change it between fork and exec, and
    there gRPC's fork handlers crash the child of a process that uses gRPC.
    """
    leash = [sys.executable, "-IS", str(_LEASH)]
    leash += [f"--parent={os.getpid()}", f"--signal={int(program.orphan_signal)}"]
    if program.account:
        leash += [f"--uid={program.account.uid}", f"--gid={program.account.gid}"]
    places = [program.directory, *program.reach] if program.directory else program.reach
    leash += [f"--reach={place}" for place in places]
    return [*leash, "--", *program.command]


async def spawn(program: Program) -> asyncio.subprocess.Process:
    """Starts `program` in a session of its own, so a Ctrl-C in the terminal does not reach it.

    Must be called on the main thread: the kernel ties the leash to the thread that forks.
    """
    with open_log(program.log_file) as log:
        return await asyncio.create_subprocess_exec(
            *command_line(program),
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
