"""Cancellation, deadlines and styles of handlers through all interceptors of both sides."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from mesh import errors
from mesh.clients import Backoff, backoff, closing
from mesh.clients.frames import stopped
from tests.mesh.conftest import Echo, Watched, method


async def test_cancelled_unary_call_reaches_the_handler(
    serve: Any, connect: Any, watched: Watched
) -> None:
    async def handler(request: bytes, context: Any) -> bytes:
        await watched.wait()
        return b""

    channel = await connect(await serve(Echo(unary={"Wait": handler})))
    task = asyncio.ensure_future(_awaited(channel.unary_unary(method("Wait"))(b"")))
    await asyncio.wait_for(watched.entered.wait(), 60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(watched.ended.wait(), 60)
    assert watched.ended_by == "CancelledError"


async def test_cancelled_unary_call_object_reaches_the_handler(
    serve: Any, connect: Any, watched: Watched
) -> None:
    async def handler(request: bytes, context: Any) -> bytes:
        await watched.wait()
        return b""

    channel = await connect(await serve(Echo(unary={"Wait": handler})))
    call = channel.unary_unary(method("Wait"))(b"")
    await asyncio.wait_for(watched.entered.wait(), 60)
    assert call.cancel()
    await asyncio.wait_for(watched.ended.wait(), 60)
    assert watched.ended_by == "CancelledError"


async def test_left_server_stream_reaches_the_handler(
    serve: Any, connect: Any, watched: Watched
) -> None:
    async def handler(request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield b"first"
        await watched.wait()

    channel = await connect(await serve(Echo(server_stream={"Watch": handler})))
    async with closing(channel.unary_stream(method("Watch"))(b"")) as call:
        async for _ in call:
            break
    await asyncio.wait_for(watched.ended.wait(), 60)
    assert watched.ended_by == "CancelledError"


async def test_left_bidirectional_stream_reaches_the_handler(
    serve: Any, connect: Any, watched: Watched
) -> None:
    async def handler(requests: Any, context: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request
            await watched.wait()

    channel = await connect(await serve(Echo(bidi={"Talk": handler})))
    async with closing(channel.stream_stream(method("Talk"))()) as call:
        await call.write(b"one")
        assert await call.read() == b"one"
    await asyncio.wait_for(watched.ended.wait(), 60)
    assert watched.ended_by == "CancelledError"


async def test_generator_blocked_in_yield_is_closed_when_the_client_goes(
    serve: Any, connect: Any
) -> None:
    """The client reads nothing, so the handler stands in `yield` when the cancel arrives."""
    cleaned_up = asyncio.Event()
    sent = 0

    async def handler(request: bytes, context: Any) -> AsyncIterator[bytes]:
        nonlocal sent
        try:
            while True:
                sent += 1
                yield b"x" * 65536
        finally:
            cleaned_up.set()

    channel = await connect(await serve(Echo(server_stream={"Flood": handler})))
    async with closing(channel.unary_stream(method("Flood"))(b"")) as call:
        await call.read()
        await _until_still(lambda: sent)
    await asyncio.wait_for(cleaned_up.wait(), 60)


async def test_every_arity_and_style_passes_the_interceptors(serve: Any, connect: Any) -> None:
    async def unary(request: bytes, context: Any) -> bytes:
        return request

    async def generator(request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield request
        yield request

    async def writer(request: bytes, context: Any) -> None:
        await context.write(request)
        await context.write(request)

    async def collect(requests: Any, context: Any) -> bytes:
        return b"".join([request async for request in requests])

    async def talk(requests: Any, context: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request

    async def read_and_write(requests: Any, context: Any) -> None:
        while (request := await context.read()) is not grpc.aio.EOF:
            await context.write(request)

    echo = Echo(
        unary={"Unary": unary},
        server_stream={"Generator": generator, "Writer": writer},
        client_stream={"Collect": collect},
        bidi={"Talk": talk, "ReadAndWrite": read_and_write},
    )
    channel = await connect(await serve(echo))
    assert await channel.unary_unary(method("Unary"))(b"a") == b"a"
    for name in ("Generator", "Writer"):
        assert [r async for r in channel.unary_stream(method(name))(b"a")] == [b"a", b"a"]
    assert await channel.stream_unary(method("Collect"))(_each(b"a", b"b")) == b"ab"
    for name in ("Talk", "ReadAndWrite"):
        call = channel.stream_stream(method(name))(_each(b"a", b"b"))
        assert [r async for r in call] == [b"a", b"b"]


async def test_written_requests_pass_the_client_interceptors(serve: Any, connect: Any) -> None:
    async def collect(requests: Any, context: Any) -> bytes:
        return b"".join([request async for request in requests])

    channel = await connect(await serve(Echo(client_stream={"Collect": collect})))
    call = channel.stream_unary(method("Collect"))()
    await call.write(b"a")
    await call.write(b"b")
    await call.done_writing()
    assert await call == b"ab"


async def test_source_of_requests_that_fails_ends_the_rpc_and_is_logged(
    serve: Any, connect: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"one"
        raise ValueError("no more")

    async def talk(requests: Any, context: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request

    channel = await connect(await serve(Echo(bidi={"Talk": talk})))
    with pytest.raises(asyncio.CancelledError):
        _ = [r async for r in channel.stream_stream(method("Talk"))(broken())]
    assert "no more" in caplog.text


async def test_server_that_ends_a_stream_ends_the_reading_of_its_requests(
    serve: Any, connect: Any
) -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            yield b"one"
            await asyncio.Event().wait()
        finally:
            closed.set()

    async def once(requests: Any, context: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request
            return

    channel = await connect(await serve(Echo(bidi={"Once": once})))
    call = channel.stream_stream(method("Once"))(endless())
    assert [r async for r in call] == [b"one"]
    await asyncio.wait_for(closed.wait(), 60)


async def test_unknown_method_is_unimplemented(serve: Any, connect: Any) -> None:
    channel = await connect(await serve(Echo()))
    with pytest.raises(errors.Unimplemented), errors.translated():
        await channel.unary_unary(method("Nothing"))(b"")


async def test_unavailable_is_retried(serve: Any, connect: Any) -> None:
    attempts = 0

    async def flaky(request: bytes, context: Any) -> bytes:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise errors.Unavailable("not yet")
        return b"ok"

    channel = await connect(await serve(Echo(unary={"Flaky": flaky})))
    assert await channel.unary_unary(method("Flaky"))(b"") == b"ok"
    assert attempts == 3


async def test_message_above_the_limit_is_refused(serve: Any, connect: Any) -> None:
    async def unary(request: bytes, context: Any) -> bytes:
        return str(len(request)).encode()

    channel = await connect(await serve(Echo(unary={"Size": unary})))
    assert await channel.unary_unary(method("Size"))(b"x" * (15 << 20)) == str(15 << 20).encode()
    with pytest.raises(errors.Overloaded), errors.translated():
        await channel.unary_unary(method("Size"))(b"x" * (17 << 20))


def test_backoff_doubles_with_jitter_up_to_its_cap_and_resets() -> None:
    waits = Backoff(base_s=0.2, cap_s=10)
    drawn = [waits.next_s() for _ in range(100)]
    assert all(0 <= wait <= min(10, 0.2 * 2**n) for n, wait in enumerate(drawn))
    assert len(set(drawn)) == 100
    assert waits.next_s(at_least_s=30) == 30
    waits.reset()
    assert waits.next_s() <= 0.2


async def test_backoff_yields_attempts_and_waits_between_them() -> None:
    attempts = []
    async for attempt in backoff(base_s=0.001):
        attempts.append(attempt)
        if attempt == 3:
            break
    assert attempts == [0, 1, 2, 3]


def test_sync_handlers_are_refused() -> None:
    from mesh.interceptors.around import around

    handler: Any = grpc.unary_unary_rpc_method_handler(lambda request, context: request)
    with pytest.raises(TypeError, match="must be `async def`"):
        around(handler, None)  # type: ignore[arg-type]


async def _awaited(call: Any) -> Any:
    return await call


async def _each(*items: bytes) -> AsyncIterator[bytes]:
    for item in items:
        yield item


async def _until_still(value: Any) -> None:
    """Returns when the value has not moved for a moment: the transport's windows are full."""
    before = -1
    while before != (now := value()):
        before = now
        await asyncio.sleep(0.3)


async def test_a_task_that_loses_its_cancellation_is_cancelled_again() -> None:
    """As one does whose cleaning up fails, so that the cancellation becomes another error."""
    losses = 0

    async def loses() -> None:
        nonlocal losses
        while losses < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                losses += 1
        await asyncio.Event().wait()

    task = asyncio.create_task(loses())
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await stopped(task)
    assert task.cancelled()
    assert losses == 2
