"""Deadlines end calls on both sides, and are passed on."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from mesh import deadline, errors
from tests.mesh.conftest import Echo, Watched, method, plain_channel


async def test_unary_call_has_a_default_deadline(serve: Any, connect: Any) -> None:
    async def left(request: bytes, context: Any) -> bytes:
        return str(context.time_remaining()).encode()

    running = await serve(Echo(unary={"Left": left}))
    channel = await connect(running, default_timeout_s=30.0)
    assert 10 < float(await channel.unary_unary(method("Left"))(b"")) < 30.2
    assert 50 < float(await channel.unary_unary(method("Left"))(b"", timeout=70)) < 70.2


async def test_deadline_fires_not_early_and_reaches_the_handler(
    serve: Any, connect: Any, watched: Watched
) -> None:
    async def handler(request: bytes, context: Any) -> bytes:
        await watched.wait()
        return b""

    channel = await connect(await serve(Echo(unary={"Wait": handler})))
    timeout_s = 0.25
    while not watched.entered.is_set():  # a busy machine may begin a call too late
        timeout_s *= 2
        began_s = time.monotonic()
        with pytest.raises(errors.DeadlineExceeded), errors.translated():
            await channel.unary_unary(method("Wait"))(b"", timeout=timeout_s)
        assert time.monotonic() - began_s >= 0.8 * timeout_s
    await asyncio.wait_for(watched.ended.wait(), 60)


async def test_server_ends_a_unary_call_that_has_no_deadline(serve: Any) -> None:
    async def handler(request: bytes, context: Any) -> bytes:
        await asyncio.sleep(30)
        return b""

    running = await serve(Echo(unary={"Wait": handler}), unary_limit_s=0.2)
    async with plain_channel(running.target) as plain:
        with pytest.raises(errors.DeadlineExceeded), errors.translated():
            await plain.unary_unary(method("Wait"))(b"")


async def test_deadline_is_passed_on_to_the_next_service(serve: Any, connect: Any) -> None:
    async def left(request: bytes, context: Any) -> bytes:
        return str(context.time_remaining()).encode()

    behind = await connect(await serve(Echo(unary={"Left": left})), default_timeout_s=1000.0)

    async def ask(request: bytes, context: Any) -> bytes:
        await asyncio.sleep(0.3)
        return bytes(await behind.unary_unary(method("Left"))(b""))

    front = await connect(await serve(Echo(unary={"Ask": ask})))
    left_s = float(await front.unary_unary(method("Ask"))(b"", timeout=30))
    assert 10 < left_s < 29.85  # on the wire it is rounded up to a tenth of a second


async def test_stream_has_no_deadline_unless_it_serves_a_call(serve: Any, connect: Any) -> None:
    async def left(request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield str(context.time_remaining()).encode()

    behind = await connect(await serve(Echo(server_stream={"Left": left})))
    assert await behind.unary_stream(method("Left"))(b"").read() == b"None"

    async def ask(request: bytes, context: Any) -> bytes:
        return bytes(await behind.unary_stream(method("Left"))(b"").read())

    front = await connect(await serve(Echo(unary={"Ask": ask})))
    assert 10 < float(await front.unary_unary(method("Ask"))(b"", timeout=30)) < 30.2


async def test_detached_work_outlives_the_deadline_of_its_call(serve: Any, connect: Any) -> None:
    started: list[asyncio.Task[float | None]] = []

    async def remaining() -> float | None:
        return deadline.time_remaining()

    async def start(request: bytes, context: Any) -> bytes:
        started.append(deadline.detached(remaining(), name="job"))
        return str(deadline.time_remaining()).encode()

    channel = await connect(await serve(Echo(unary={"Start": start})))
    assert float(await channel.unary_unary(method("Start"))(b"", timeout=30)) < 30.2
    assert await started[0] is None
