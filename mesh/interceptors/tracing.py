"""A span per call, in the caller's trace; of a stream only its open, since a day is no span."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

import grpc
from opentelemetry import context as trace_context
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from mesh import wire
from mesh.interceptors.around import Context, Handler, around, is_infrastructure
from mesh.interceptors.outcome import SERVER_FAULTS, code_of
from mesh.telemetry.tracing import SAMPLE, parent_of, tracer


class Tracing:
    """Opens the server's span.

    The span of a stream ends with its first response. A handler of a bidirectional stream does not
    run inside it, or a day of batches would hang below one call: each message carries its own
    context. A stream that fails later gets a second span, below the first, that says so.
    """

    def __init__(self, always_sampled: Collection[str] = ()) -> None:
        """`always_sampled` are full methods whose traces are kept whatever the ratio says."""
        self._always_sampled = frozenset(always_sampled)

    def wrap(self, method: str, handler: Handler) -> Handler:
        """Puts the span around a handler."""
        if is_infrastructure(method):
            return handler
        is_stream, is_current = handler.response_streaming, not handler.request_streaming

        @asynccontextmanager
        async def scope(context: Context) -> AsyncIterator[Context]:
            opened = self._open(method, context)
            if is_current:
                trace_context.attach(trace.set_span_in_context(opened))
            ended_by: BaseException | None = None
            try:
                yield _OpenSpan(context, opened) if is_stream else context  # type: ignore[misc]
            except BaseException as error:
                ended_by = error
                raise
            finally:
                _finish(opened, method, code_of(context, ended_by))

        return around(handler, scope)

    def _open(self, method: str, context: Context) -> Span:
        attributes = {"rpc.system.name": "grpc", "rpc.method": method.removeprefix("/")}
        if method in self._always_sampled:
            attributes[SAMPLE] = "always"
        return tracer.start_span(
            method.removeprefix("/"),
            context=parent_of(_traceparent(context)),
            kind=SpanKind.SERVER,
            attributes=attributes,
        )


class _OpenSpan:
    """A servicer context whose first response ends the span of the open."""

    def __init__(self, context: Context, opened: Span) -> None:
        self._context = context
        self._opened = opened

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    async def write(self, message: Any) -> None:
        if self._opened.is_recording():
            _end(self._opened, grpc.StatusCode.OK)
        await self._context.write(message)


def _finish(opened: Span, method: str, code: grpc.StatusCode) -> None:
    if opened.is_recording():
        _end(opened, code)
    elif code in SERVER_FAULTS:
        below = trace.set_span_in_context(opened)
        _end(tracer.start_span(f"{method.removeprefix('/')} broke", context=below), code)


def _end(opened: Span, code: grpc.StatusCode) -> None:
    opened.set_attribute("rpc.response.status_code", code.name)
    if code in SERVER_FAULTS:
        opened.set_status(Status(StatusCode.ERROR, code.name))
    opened.end()


def _traceparent(context: Context) -> str:
    for key, value in context.invocation_metadata() or ():
        if key == wire.TRACEPARENT:
            return str(value)
    return ""
