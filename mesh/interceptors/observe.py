"""One log line and one measurement per call."""

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

from mesh.interceptors.around import Context, Handler, around, is_infrastructure
from mesh.interceptors.outcome import SERVER_FAULTS, code_of
from mesh.metrics import RPC_SERVER_ACTIVE, RPC_SERVER_DURATION

logger = logging.getLogger("sensus.rpc")


class Observing:
    """Logs what went wrong at INFO or above and what went well at DEBUG; measures all of it."""

    def wrap(self, method: str, handler: Handler) -> Handler:
        """Puts the clock around a handler."""
        if is_infrastructure(method):
            return handler
        name = method.removeprefix("/")
        active = RPC_SERVER_ACTIVE.labels(name)

        @asynccontextmanager
        async def scope(context: Context) -> AsyncIterator[Context]:
            started_s = time.perf_counter()
            ended_by: BaseException | None = None
            with active.track_inprogress():
                try:
                    yield context
                except BaseException as error:
                    ended_by = error
                    raise
                finally:
                    took_s = time.perf_counter() - started_s
                    _report(name, context.peer(), code_of(context, ended_by), took_s)

        return around(handler, scope)


def _report(method: str, peer: str, code: grpc.StatusCode, took_s: float) -> None:
    RPC_SERVER_DURATION.labels(method, code.name).observe(took_s)
    note = {"rpc_method": method, "code": code.name, "took_ms": round(took_s * 1000, 1)}
    logger.log(_level(code), "call ended", extra=note | {"peer": peer})


def _level(code: grpc.StatusCode) -> int:
    if code is grpc.StatusCode.OK:
        return logging.DEBUG
    return logging.WARNING if code in SERVER_FAULTS else logging.INFO
