"""The life of a server and of its process: start, work, drain, stop, in that order."""

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NoReturn, Protocol

import grpc
from grpc_reflection.v1alpha import reflection

from mesh import wire
from mesh.config import ConfigError
from mesh.drain import Drain
from mesh.errors import SensusError
from mesh.health import Health
from mesh.interceptors.inflight import InflightInterceptor
from mesh.migrations import MigrationError

__all__ = ["BindError", "Drain", "Server", "WorkerDied", "main", "run"]

_CLEAN_UP_S: Final = 5.0
_INFRASTRUCTURE: Final = ("grpc.health.v1.Health", reflection.SERVICE_NAME)

Worker = Callable[[], Coroutine[Any, Any, None]]

logger = logging.getLogger(__name__)


class BindError(Exception):
    """The address cannot be listened on; the message says which and why."""


class WorkerDied(Exception):  # noqa: N818 - it says what happened
    """A worker that should run for ever ended; the process must not go on without it."""


class Serving(Protocol):
    """What `run` runs: a gRPC server, or the gateway's HTTP server."""

    async def start(self) -> int:
        """Begins to serve and tells the port."""

    async def stop(self, notice_s: float, grace_s: float) -> None:
        """Drains and stops; returns when nothing of it runs any more."""


class ShutdownConfig(Protocol):
    """The part of a config that says how to stop; `mesh.config.Common` has it."""

    @property
    def shutdown_notice_s(self) -> float:
        """NOT_SERVING this long before draining."""

    @property
    def shutdown_grace_s(self) -> float:
        """Longest wait for running calls."""


class Server:
    """A gRPC server with health, reflection and an orderly stop.

    Register servicers on `grpc`, then `start`. Used by services and by tests alike.
    """

    def __init__(
        self,
        *,
        service: str,
        host: str,
        port: int,
        interceptors: Sequence[grpc.aio.ServerInterceptor],
        health: Health,
        drain: Drain,
        credentials: grpc.ServerCredentials | None = None,
        max_message_bytes: int = wire.MAX_MESSAGE_BYTES,
    ) -> None:
        """Listens on `host:port` from `start` on; port 0 takes a free one."""
        self._service = service
        self._address = f"{host}:{port}"
        self._health = health
        self._drain = drain
        self._credentials = credentials
        self._inflight = InflightInterceptor(drain)
        self._probing: asyncio.Task[None] | None = None
        self.grpc = grpc.aio.server(
            interceptors=[self._inflight, *interceptors],
            options=wire.server_options(max_message_bytes),
        )

    async def start(self) -> int:
        """Serves; becomes SERVING when the dependencies answer.

        Returns:
            The port.

        Raises:
            BindError: The port is taken or not ours to take.
        """
        self._health.register(self.grpc)
        names = (*self._health.service_names, *_INFRASTRUCTURE)
        reflection.enable_server_reflection(names, self.grpc)
        port = self._bind()
        await self._health.announce()
        await self.grpc.start()
        self._probing = asyncio.create_task(self._health.watch(), name="health")
        logger.info("serving", extra={"address": self._address, "port": port})
        return port

    async def stop(self, notice_s: float, grace_s: float) -> None:
        """Stops in the order that loses nothing; a second call returns at once.

        NOT_SERVING, `notice_s` for clients to look elsewhere, the word to drain, up to `grace_s`
        for running calls, then the end of those that still run, and their clean-up.
        """
        if self._probing is None:
            return
        probing, self._probing = self._probing, None
        await self._health.shutdown()
        await asyncio.sleep(notice_s)
        self._drain.begin()
        if not await self._inflight.finished(grace_s):
            logger.warning("calls still run after the grace; ending them")
        await self.grpc.stop(grace=0)
        await self._inflight.finished(_CLEAN_UP_S)
        probing.cancel()
        with suppress(asyncio.CancelledError):
            await probing
        logger.info("stopped", extra={"address": self._address})

    def _bind(self) -> int:
        try:
            if self._credentials is None:
                return self.grpc.add_insecure_port(self._address)
            return self.grpc.add_secure_port(self._address, self._credentials)
        except RuntimeError as error:
            told = f"{self._service} cannot listen on {self._address}: is the port taken?"
            raise BindError(told) from error


async def run(server: Serving, *, workers: Mapping[str, Worker], config: ShutdownConfig) -> None:
    """Serves until SIGTERM or SIGINT, or until a worker ends, then stops in order.

    Workers run for ever. They are cancelled only after the server has drained, because running
    calls may need them, and are awaited. After the first signal a second one ends the process at
    once.

    Raises:
        WorkerDied: A worker raised or returned; the stop was orderly nevertheless.
    """
    told_to_stop = _on_signals()
    await server.start()
    tasks = [asyncio.create_task(work(), name=name) for name, work in workers.items()]
    waiting = asyncio.create_task(told_to_stop.wait())
    try:
        await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
        dead = [task for task in tasks if task.done()]
        for task in dead:
            logger.error("worker died", extra={"worker": task.get_name()}, exc_info=_cause(task))
        await server.stop(config.shutdown_notice_s, config.shutdown_grace_s)
    finally:
        await _cancelled([waiting, *tasks])
    if dead:
        raise WorkerDied(dead[0].get_name()) from _cause(dead[0])


def main(entry: Worker) -> NoReturn:
    """Runs a process: exit 0 after an orderly stop, 2 when it is set up wrongly, else 1."""
    try:
        asyncio.run(entry())
    except (ConfigError, BindError, MigrationError) as error:
        sys.exit(_say(str(error), 2))
    except WorkerDied as error:
        sys.exit(_say(f"worker {error} died", 1))
    except SensusError as error:
        sys.exit(_say(error.message, 1))
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0)


def _on_signals() -> asyncio.Event:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hear(number: signal.Signals) -> None:
        logger.info("told to stop", extra={"signal": number.name})
        told.set()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(each)

    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, hear, each)
    return told


async def _cancelled(tasks: Sequence["asyncio.Task[Any]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _cause(task: "asyncio.Task[Any]") -> BaseException | None:
    return None if task.cancelled() else task.exception()


def _say(text: str, exit_code: int) -> int:
    sys.stderr.write(f"{text}\n")
    return exit_code
