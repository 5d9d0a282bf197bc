"""The client's side of the same contract: deadline, token and trace context on every call."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import grpc
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from mesh import wire
from mesh.deadline import time_remaining
from mesh.interceptors.requests import Requests, Source
from mesh.telemetry.tracing import span, traceparent

DEFAULT_TIMEOUT_S: Final = 10.0

Details = grpc.aio.ClientCallDetails
Continuation = Callable[[Details, Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """What is put on a call before it leaves."""

    tokens: Callable[[], str] | None
    default_timeout_s: float

    def unary(self, details: Details) -> Details:
        """A unary call ends by its own deadline, the default, or that of the call it serves."""
        return self._complete(details, details.timeout or self.default_timeout_s)

    def stream(self, details: Details) -> Details:
        """A stream ends only with the call it serves, if there is one."""
        return self._complete(details, details.timeout)

    def _complete(self, details: Details, timeout_s: float | None) -> Details:
        limits = [limit for limit in (timeout_s, time_remaining()) if limit is not None]
        return Details(
            details.method,
            min(limits) if limits else None,
            self._metadata(details.metadata),
            details.credentials,
            details.wait_for_ready,
        )

    def _metadata(self, given: grpc.aio.Metadata | None) -> grpc.aio.Metadata:
        metadata = grpc.aio.Metadata(*(given or ()))
        if self.tokens is not None and not metadata.get_all(wire.AUTHORIZATION):
            metadata.add(wire.AUTHORIZATION, f"Bearer {self.tokens()}")
        if (parent := traceparent()) and not metadata.get_all(wire.TRACEPARENT):
            metadata.add(wire.TRACEPARENT, parent)
        return metadata


class _UnaryUnary(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing

    async def intercept_unary_unary(
        self, continuation: Continuation, client_call_details: Details, request: Any
    ) -> Any:
        """Awaits the call itself, not its code: only that passes a cancellation on."""
        method = _text(client_call_details.method)
        attributes = {"rpc.system.name": "grpc", "rpc.method": method}
        with span(method, kind=SpanKind.CLIENT, attributes=attributes) as opened:
            call = await continuation(self._outgoing.unary(client_call_details), request)
            try:
                await call
            except grpc.aio.AioRpcError as error:
                _mark_failed(opened, error.code())
            else:
                opened.set_attribute("rpc.response.status_code", grpc.StatusCode.OK.name)
            return call


class _UnaryStream(grpc.aio.UnaryStreamClientInterceptor):
    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing

    async def intercept_unary_stream(
        self, continuation: Continuation, client_call_details: Details, request: Any
    ) -> Any:
        return await continuation(self._outgoing.stream(client_call_details), request)


class _RequestStream:
    """Both arities with a stream of requests; its reading ends with the rpc."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing

    async def _intercept(
        self, continuation: Continuation, client_call_details: Details, request_iterator: Source
    ) -> Any:
        requests = Requests(request_iterator)
        call = await continuation(self._outgoing.stream(client_call_details), requests)
        call.add_done_callback(requests.stop)
        return call


class _StreamUnary(_RequestStream, grpc.aio.StreamUnaryClientInterceptor):
    intercept_stream_unary = _RequestStream._intercept


class _StreamStream(_RequestStream, grpc.aio.StreamStreamClientInterceptor):
    intercept_stream_stream = _RequestStream._intercept


def client_interceptors(
    *, tokens: Callable[[], str] | None, default_timeout_s: float = DEFAULT_TIMEOUT_S
) -> list[grpc.aio.ClientInterceptor]:
    """One object per arity, since grpc.aio takes an object for the first arity it matches.

    Only unary calls get a span here: the open of a stream has one on the server's side.
    """
    outgoing = Outgoing(tokens=tokens, default_timeout_s=default_timeout_s)
    return [
        _UnaryUnary(outgoing),
        _UnaryStream(outgoing),
        _StreamUnary(outgoing),
        _StreamStream(outgoing),
    ]


def _mark_failed(opened: Span, code: grpc.StatusCode) -> None:
    opened.set_attribute("rpc.response.status_code", code.name)
    opened.set_attribute("error.type", code.name)
    opened.set_status(Status(StatusCode.ERROR))


def _text(method: str | bytes) -> str:
    named = method.decode() if isinstance(method, bytes) else method
    return named.removeprefix("/")
