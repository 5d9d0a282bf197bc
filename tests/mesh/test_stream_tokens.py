"""Streams end with their token, and are opened again with a fresh one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from mesh import errors
from mesh.auth import (
    TokenMinter,
    current_principal,
)
from mesh.clients import Backoff, closing, keep_open
from tests.mesh.conftest import READ, Echo, method

Minter = Callable[[str], TokenMinter]


async def ticks(request: bytes, context: Any) -> AsyncIterator[bytes]:
    """An endless stream that names its caller."""
    while True:
        yield current_principal().subject.encode()
        await asyncio.sleep(0.05)


async def test_stream_ends_with_its_token(serve: Any, connect: Any, minter: Minter) -> None:
    running = await serve(Echo(server_stream={"Watch": ticks}, policies={method("Watch"): READ}))
    channel = await connect(
        running, tokens=lambda: minter("gateway").mint("user:ann", ["read:stream"], 3)
    )
    call = channel.unary_stream(method("Watch"))(b"")
    assert await call.read() == b"user:ann"
    with pytest.raises(errors.Unauthenticated) as caught, errors.translated():
        await _drained(call)
    assert caught.value.reason == "TOKEN_EXPIRED"


async def test_waiting_bidirectional_stream_ends_with_its_token(
    serve: Any, connect: Any, minter: Minter
) -> None:
    async def silent(requests: Any, context: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request

    running = await serve(Echo(bidi={"Talk": silent}, policies={method("Talk"): READ}))
    token = minter("gateway").mint("user:ann", ["read:stream"], 1.2)
    channel = await connect(running, tokens=lambda: token)
    with pytest.raises(errors.Unauthenticated), errors.translated():
        async with closing(channel.stream_stream(method("Talk"))()) as call:
            await call.read()


async def test_service_opens_its_stream_again_with_a_fresh_token(
    serve: Any, connect: Any, minter: Minter
) -> None:
    running = await serve(Echo(server_stream={"Watch": ticks}, policies={method("Watch"): READ}))
    minted: list[str] = []

    def fresh() -> str:
        minted.append(minter("gateway").mint("user:ann", ["read:stream"], 1.2))
        return minted[-1]

    channel = await connect(running, tokens=fresh)
    seen_in_sessions: list[int] = []
    enough = asyncio.Event()

    async def session(waits: Backoff) -> None:
        seen_in_sessions.append(0)
        async with closing(channel.unary_stream(method("Watch"))(b"")) as call:
            async for _ in call:
                waits.reset()
                seen_in_sessions[-1] += 1
                if sum(seen > 0 for seen in seen_in_sessions) == 3:
                    enough.set()

    task = asyncio.create_task(keep_open(session, name="watch"))
    await asyncio.wait_for(enough.wait(), timeout=60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(set(minted)) == len(seen_in_sessions)


async def test_keep_open_gives_up_on_what_a_new_stream_cannot_cure(
    serve: Any, connect: Any, minter: Minter
) -> None:
    running = await serve(Echo(server_stream={"Watch": ticks}, policies={method("Watch"): READ}))
    token = minter("gateway").mint("user:ann", [], 60)
    channel = await connect(running, tokens=lambda: token)

    async def session(waits: Backoff) -> None:
        await _drained(channel.unary_stream(method("Watch"))(b""))

    with pytest.raises(errors.PermissionDenied):
        await asyncio.wait_for(keep_open(session, name="watch"), timeout=60)


async def _drained(stream: Any) -> None:
    async with closing(stream) as call:
        async for _ in call:
            pass
