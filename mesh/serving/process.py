"""The life of a process: it serves until it is asked to stop, or until a part of it dies."""

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, NoReturn, Protocol

import uvloop

from mesh.config import ConfigError
from mesh.errors import SensusError
from mesh.migrations import MigrationError
from mesh.serving.errors import BindError, ServerDied, WorkerDied
from mesh.serving.own_call import OwnCall
from mesh.serving.unhandled import report_unhandled
from mesh.serving.watchdog import watched

_GRACE_OF_THE_DEAD_S: Final = 2.0
_GRACE_OF_THREADS_S: Final = 2.0

Worker = Callable[[], Coroutine[Any, Any, None]]

logger = logging.getLogger(__name__)


class Serving(Protocol):
    """What `run` runs: a gRPC server, or the gateway's HTTP server."""

    async def start(self) -> int:
        """Begins to serve; returns the port."""

    async def died(self) -> None:
        """Waits for ever; raises `ServerDied` when the server ends without `stop`."""

    def own_call(self) -> OwnCall:
        """How the watchdog calls the started server."""

    async def stop(self, notice_s: float, grace_s: float) -> None:
        """Drains and stops; returns when nothing of it runs any more."""


class RunConfig(Protocol):
    """The part of a config that says how to run and stop; `mesh.config.Common` has it."""

    @property
    def watchdog_s(self) -> float:
        """No answer on the own port for so long ends the process; 0 asks never."""

    @property
    def shutdown_notice_s(self) -> float:
        """NOT_SERVING this long before draining."""

    @property
    def shutdown_grace_s(self) -> float:
        """Longest wait for running calls."""


async def run(server: Serving, *, workers: Mapping[str, Worker], config: RunConfig) -> None:
    """Serves until SIGTERM or SIGINT, or until the server or a worker ends, then stops in order.

    Workers run for ever. They are cancelled only after the server has drained, because running
    calls may need them, and are awaited. After the first signal a second one ends the process at
    once. While it serves, a watchdog ends a process whose own port does not answer.

    Raises:
        ServerDied: The server ended by itself.
        WorkerDied: A worker raised or returned; the stop was orderly nevertheless.
    """
    report_unhandled(asyncio.get_running_loop())
    stop_signal = _on_signals()
    await server.start()
    _spare_what_stays()
    parts = {"server": server.died, **workers}
    tasks = [asyncio.create_task(work(), name=name) for name, work in parts.items()]
    waiting = asyncio.create_task(stop_signal.wait())
    try:
        with watched(server.own_call(), config.watchdog_s):
            await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
        dead = [task for task in tasks if task.done()]
        for task in dead:
            logger.error("worker died", extra={"worker": task.get_name()}, exc_info=_cause(task))
        if dead:  # nobody comes any more, and the sooner it ends the sooner it is back
            await server.stop(0.0, min(_GRACE_OF_THE_DEAD_S, config.shutdown_grace_s))
        else:
            await server.stop(config.shutdown_notice_s, config.shutdown_grace_s)
    finally:
        await _cancelled([waiting, *tasks])
    for task in dead:
        raise _death(task)


def main(entry: Worker) -> NoReturn:
    """Runs a process: exit 0 after an orderly stop, 2 when it is set up wrongly, else 1.

    Threads that still work when all is closed have a moment to end: nobody waits for what they do,
    and until the process is gone no other one serves in its place.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        exit_code = _exit_code(runner, entry)
        threading.Thread(target=_end_late, args=[exit_code], daemon=True).start()
    sys.exit(exit_code)


def _exit_code(runner: asyncio.Runner, entry: Worker) -> int:
    try:
        runner.run(entry())
    except (ConfigError, BindError, MigrationError) as error:
        return _say(str(error), 2)
    except (WorkerDied, ServerDied) as error:
        return _say(str(error), 1)
    except SensusError as error:
        return _say(error.message, 1)
    except KeyboardInterrupt:
        return 130
    return 0


def _end_late(exit_code: int) -> None:
    time.sleep(_GRACE_OF_THREADS_S)
    _say(
        f"a thread works {_GRACE_OF_THREADS_S:g} s after the stop: the process ends without it",
        exit_code,
    )
    os._exit(exit_code)


def _spare_what_stays() -> None:
    """What was made so far lives as long as the process: no later collection walks it again.

    A full collection walks every object, half a million after the imports, and holds the loop.
    """
    gc.collect()
    gc.freeze()


def _on_signals() -> asyncio.Event:
    received = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        received.set()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(each)
        logger.info("stop signal", extra={"signal": number.name})  # who reads it may send another

    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop, each)
    return received


async def _cancelled(tasks: Sequence["asyncio.Task[Any]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _death(task: "asyncio.Task[Any]") -> Exception:
    cause = _cause(task)
    if isinstance(cause, ServerDied):
        return cause
    death = WorkerDied(f"worker {task.get_name()} died")
    death.__cause__ = cause
    return death


def _cause(task: "asyncio.Task[Any]") -> BaseException | None:
    return None if task.cancelled() else task.exception()


def _say(text: str, exit_code: int) -> int:
    sys.stderr.write(f"{text}\n")
    return exit_code
