"""What stands around the handlers of a server, put around each method once and not per call."""

from collections.abc import Sequence
from typing import Any, NoReturn, Protocol

import grpc

from mesh.errors import Unavailable
from mesh.interceptors.around import Context, Continuation, Handler, MaybeHandler
from mesh.interceptors.early_refusal import EarlyRefusal


class Layer(Protocol):
    """One concern around handlers."""

    def wrap(self, method: str, handler: Handler) -> Handler:
        """The handler of a full method, `/pkg.Service/Method`, with this around it."""


class Layers(grpc.aio.ServerInterceptor):
    """All layers as the one interceptor of a server.

    grpc.aio asks its interceptors anew at each call. What ours answer depends on the method alone,
    but for strangers, who get another handler.
    """

    def __init__(
        self,
        outer: Sequence[Layer],
        inner: Sequence[Layer] = (),
        strangers: EarlyRefusal | None = None,
    ) -> None:
        """From the outermost on; refused `strangers` pass the `outer` ones only."""
        self._outer = tuple(outer)
        self._inner = tuple(inner)
        self._strangers = strangers
        self._handlers: dict[tuple[str, bool], Handler] = {}

    def within(self, layer: Layer) -> "Layers":
        """These, and one more around all of them."""
        return Layers((layer, *self._outer), self._inner, self._strangers)

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> MaybeHandler:
        """The handler of a call; None for a method that nobody serves."""
        method = handler_call_details.method
        served = self._handlers.get((method, True))
        if served is None:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None
            served = self._keep(method, handler)
        if self._strangers is None:
            return served
        refusal = self._strangers.refusal(method, handler_call_details.invocation_metadata)
        return self._handlers.get((method, False), served) if refusal else served

    def _keep(self, method: str, handler: Handler) -> Handler:
        served = _wrapped(method, handler, (*self._outer, *self._inner))
        self._handlers[method, True] = served
        if not handler.request_streaming:
            self._handlers[method, False] = _wrapped(method, self._refusing(method), self._outer)
        return served

    def _refusing(self, method: str) -> Handler:
        """A handler that asks for no message: only one of a stream of requests may do that."""

        async def refuse(requests: Any, context: Context) -> NoReturn:
            strangers, metadata = self._strangers, context.invocation_metadata() or ()
            refusal = strangers.refusal(method, metadata) if strangers else None
            # what held a moment ago: a key was added between the two looks
            raise refusal or Unavailable("call again", reason="CALLER_UNKNOWN")

        return grpc.stream_stream_rpc_method_handler(refuse)


def _wrapped(method: str, handler: Handler, layers: Sequence[Layer]) -> Handler:
    for layer in reversed(layers):
        handler = layer.wrap(method, handler)
    return handler
