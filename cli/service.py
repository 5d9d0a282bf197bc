"""One service of the product as a child process, run as it is run in a container."""

import asyncio
import signal
from collections.abc import Awaitable, Callable

from cli import process
from cli.problem import Problem
from cli.process import Program
from cli.supervisor import ending

_POLL_INTERVAL_S = 0.1


class Service:
    """A program that is ready when its probe says so."""

    def __init__(
        self,
        name: str,
        program: Program,
        probe: Callable[[], Awaitable[bool]],
        *,
        start_timeout_s: float = 120.0,
        stop_timeout_s: float = 20.0,
        spawned: Callable[[str, int], None] = lambda name, pid: None,
    ) -> None:
        """`probe` tells whether it is ready; `spawned` is told name and pid of each new process."""
        self.name = name
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
        """Returns when the probe says ready. Problem with the last words of the log otherwise."""
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

    async def _ready(self, child: asyncio.subprocess.Process) -> None:
        while not await self._probe():
            if child.returncode is not None:
                raise self._failed(f"ended while starting ({ending(child.returncode)})")
            await asyncio.sleep(_POLL_INTERVAL_S)

    def _failed(self, what: str) -> Problem:
        log_file = self._program.log_file
        return Problem(f"{self.name} {what}. The end of {log_file}:\n{process.log_tail(log_file)}")
