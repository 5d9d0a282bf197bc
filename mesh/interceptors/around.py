"""One way to put something around a handler, whatever its arity and style."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any, TypeAlias

import grpc

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
MaybeHandler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Continuation: TypeAlias = Callable[[grpc.HandlerCallDetails], Awaitable[MaybeHandler]]
Behaviour: TypeAlias = Callable[[Any, Context], Awaitable[Any]]
Scope: TypeAlias = Callable[[Context], AbstractAsyncContextManager[Context]]


def around(handler: Handler, scope: Scope) -> Handler:
    """A handler of the same arity that runs inside `scope(context)`, with the context it yields.

    Generators become coroutines that write. So a scope and the handler share one task and one
    context, a cancellation arrives as CancelledError, and clean-up is done when the task is.
    """
    behaviour = coroutine(handler)

    async def scoped(request: Any, context: Context) -> Any:
        async with scope(context) as inner:
            return await behaviour(request, inner)

    scoped_handler: Handler = FACTORY[handler.request_streaming, handler.response_streaming](
        scoped,
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )
    return scoped_handler


def is_infrastructure(method: str) -> bool:
    """Health and reflection: asked all the time, by anyone; worth no trace, line or token."""
    return method.startswith(("/grpc.health.", "/grpc.reflection."))


def coroutine(handler: Handler) -> Behaviour:
    """What a handler does, as a coroutine of request and context, whatever its style."""
    behaviour = (
        handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    )
    if inspect.isasyncgenfunction(behaviour):
        return _writing(behaviour)
    if not inspect.iscoroutinefunction(behaviour):
        raise TypeError(f"{behaviour!r} must be `async def`: handlers share the event loop")
    return behaviour


def _writing(generator: Callable[[Any, Context], AsyncIterator[Any]]) -> Behaviour:
    async def write_all(request: Any, context: Context) -> None:
        async with aclosing(generator(request, context)) as responses:  # type: ignore[type-var]
            async for response in responses:
                await context.write(response)

    return write_all


FACTORY: dict[tuple[bool, bool], Callable[..., Any]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}
