"""One service of the product as a child process, run as it is run in a container."""

import asyncio
import signal
from collections.abc import Callable

from cli.problem import Problem
from cli.processes import process
from cli.processes.child import Answer, Probe, SilenceLimits, ending
from cli.processes.liveness import ask
from cli.processes.logs import log_tail
from cli.processes.process import Program

_POLL_INTERVAL_S = 0.1


class Service:
    """A program that is ready when its probe says so."""

    def __init__(
        self,
        name: str,
        program: Program,
        probe: Probe,
        *,
        patience: SilenceLimits | None = None,
        start_timeout_s: float = 300.0,
        stop_timeout_s: float = 20.0,
        spawned: Callable[[str, int], None] = lambda name, pid: None,
    ) -> None:
        """`spawned` gets name and pid of each new process."""
        self.name = name
        self.patience = patience or SilenceLimits()
        self._program = program
        self._probe = probe
        self._start_timeout_s = start_timeout_s
        self._stop_timeout_s = stop_timeout_s
        self._spawned = spawned
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Returns when the probe says ready; Problem with the last lines of the log otherwise."""
        self._process = await process.spawn(self._program)
        self._spawned(self.name, self._process.pid)
        try:
            async with asyncio.timeout(self._start_timeout_s):
                await self._ready(self._process)
        except BaseException as error:
            await self.stop()
            if isinstance(error, TimeoutError):
                raise self._failed(f"was not ready within {self._start_timeout_s:g} s") from None
            raise

    async def wait(self) -> int:
        """Exit status, once it has ended."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return await self._process.wait()

    async def stop(self) -> None:
        """Lets it drain, and kills it when that takes too long."""
        if self._process is not None:
            await process.stop(self._process, ((signal.SIGTERM, self._stop_timeout_s),))
        self._process = None

    async def kill(self) -> None:
        """SIGKILL, which also ends a process that is stopped."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def probe(self) -> Answer:
        """Asks it once."""
        return await self._probe()

    async def _ready(self, child: asyncio.subprocess.Process) -> None:
        while not (await ask(self._probe)).ready:
            if child.returncode is not None:
                raise self._failed(f"ended while starting ({ending(child.returncode)})")
            await asyncio.sleep(_POLL_INTERVAL_S)

    def _failed(self, what: str) -> Problem:
        log_file = self._program.log_file
        return Problem(f"{self.name} {what}. The end of {log_file}:\n{log_tail(log_file)}")
