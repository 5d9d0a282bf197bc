"""The life of a store's server process, the same for PostgreSQL and Redis."""

import asyncio
import signal
from abc import ABC, abstractmethod
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from cli.embedded import orphans
from cli.embedded.sockets import leave, socket_directory
from cli.problem import Problem
from cli.processes import process
from cli.processes.account import Account, child_account, hand_over
from cli.processes.child import Answer, SilenceLimits
from cli.processes.liveness import ask
from cli.processes.lock import DirectoryLock
from cli.processes.logs import log_tail
from cli.processes.process import Program

_POLL_INTERVAL_S = 0.03


class EmbeddedServer(ABC):
    """A server of our own: data and a private Unix socket under one directory.

    Start, stop and start again as often as needed; data stay. A server that a killed run left
    behind is stopped first, stale pid files do no harm. Only one process may hold a directory.

    Attributes:
        name: for the supervisor.
        title: for messages.
        executable: name of the server's process.
        socket_name: file of its socket.
        stop_signals: what ends it politely, each with the seconds it gets.
        patience: more than for a service, whose loss costs no recovery.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    executable: ClassVar[str]
    socket_name: ClassVar[str]
    stop_signals: ClassVar[Sequence[tuple[signal.Signals, float]]]
    patience: ClassVar[SilenceLimits] = SilenceLimits(every_s=2.0, idle_s=10.0, busy_s=60.0)

    def __init__(self, directory: Path, *, log_file: Path | None, start_timeout_s: float) -> None:
        """The log lies in `directory` when no other place is given."""
        self._directory = directory.resolve()
        self._data = self._directory / "data"
        self._socket_directory = self._directory
        self._log_file = log_file or self._directory / f"{self.name}.log"
        self._start_timeout_s = start_timeout_s
        self._lock = DirectoryLock(self._directory)
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the running server."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Returns when the server answers. Problem, with the end of its log, when not."""
        account = child_account()
        hand_over(self._directory, account)
        self._lock.acquire()
        try:
            await orphans.stop_servers(self._data, self.executable, self.stop_signals)
            await self._prepare(account)
            await self._serve(account)
        except BaseException:
            await self.stop()
            raise

    async def wait(self) -> int:
        """Exit status of the server, once it has ended by itself or by `stop`."""
        if self._process is None:
            raise RuntimeError(f"{self.title} was not started")
        return await self._process.wait()

    async def stop(self) -> None:
        """Lets the server write out what it has, and waits until it is gone."""
        if self._process is not None:
            await process.stop(self._process, self.stop_signals)
        self._process = None
        leave(self._socket_directory, self._directory)
        self._lock.release()

    async def kill(self) -> None:
        """SIGKILL, which also ends a server that is stopped; the next start recovers the data."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    @abstractmethod
    async def _prepare(self, account: Account | None) -> None:
        """Makes the data directory when it is new. No server runs in it."""

    @abstractmethod
    def _program(self, account: Account | None) -> Program:
        """How to run the server, with its socket in `_socket_directory`."""

    @abstractmethod
    async def probe(self) -> Answer:
        """Asks once whether it serves; a refusal is an answer, too."""

    async def _serve(self, account: Account | None) -> None:
        self._socket_directory = socket_directory(self._directory, self.socket_name, account)
        self._process = await process.spawn(self._program(account))
        try:
            async with asyncio.timeout(self._start_timeout_s):
                await self._ready(self._process)
        except TimeoutError:
            raise self._failed(f"did not answer within {self._start_timeout_s:g} s") from None

    async def _ready(self, server: asyncio.subprocess.Process) -> None:
        while not (await ask(self.probe)).ready:
            if server.returncode is not None:
                raise self._failed("ended while starting")
            await asyncio.sleep(_POLL_INTERVAL_S)

    def _failed(self, what: str) -> Problem:
        tail = log_tail(self._log_file)
        return Problem(f"{self.title} {what}. The end of {self._log_file}:\n{tail}")


def wheel_program(package: str, path: str, variable: str) -> str:
    """Absolute path of a server program that lies in a wheel; `path` may be a pattern.

    Raises:
        Problem: The wheel is not installed; `variable` names a server of the user's own instead.
    """
    spec = find_spec(package)
    folder = Path(spec.origin).parent if spec and spec.origin else None
    program = next(folder.glob(path), None) if folder else None
    if program is None:
        raise Problem(
            f"this machine has no wheel with {path.rpartition('/')[2]}: install sensus[embedded], "
            f"or set {variable} to a server of your own"
        )
    return str(program)
