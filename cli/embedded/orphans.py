"""Servers that an earlier run left behind because it was killed."""

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path

import psutil

from cli.problem import Problem

_POLL_INTERVAL_S = 0.05


def servers_in(directory: Path, program: str) -> list[psutil.Process]:
    """Processes of that program whose working directory is `directory`, parents first.

    A server's working directory is its data directory, which no foreign server can share; a pid
    from a stale pidfile could belong to anybody by now.
    """
    home = str(directory.resolve())
    found = [
        process
        for process in psutil.process_iter(["name", "cwd", "create_time"])
        if process.info["name"] == program and process.info["cwd"] == home
    ]
    return sorted(found, key=lambda process: (process.info["create_time"], process.pid))


async def stop_servers(
    directory: Path, program: str, signals: Sequence[tuple[signal.Signals, float]]
) -> None:
    """Stops what `servers_in` finds, politely first, and waits until all of it is gone.

    What was frozen goes on first: a backend that is stopped sees no end of its server, and would
    keep the directory for ever. The caller must hold the lock of `directory`: then nobody else can
    own these processes.
    """
    for server in servers_in(directory, program):
        _send(server, signal.SIGCONT)
    for number, wait_s in signals:
        if servers := servers_in(directory, program):
            _send(servers[0], number)
            await _gone(directory, program, wait_s)
    for server in servers_in(directory, program):
        _send(server, signal.SIGKILL)
    await _gone(directory, program, 5.0)
    if servers := servers_in(directory, program):
        raise Problem(f"{program} (pid {servers[0].pid}) still uses {directory} and does not stop")


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
    except psutil.AccessDenied:
        raise Problem(f"pid {process.pid} uses this data directory under another user") from None


async def _gone(directory: Path, program: str, wait_s: float) -> None:
    for _ in range(int(wait_s / _POLL_INTERVAL_S)):
        if not servers_in(directory, program):
            return
        await asyncio.sleep(_POLL_INTERVAL_S)
