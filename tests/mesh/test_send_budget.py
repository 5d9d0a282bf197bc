"""Streams whose caller reads nothing."""

import asyncio
import weakref
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from mesh import errors, wire
from mesh.auth import Policy
from mesh.clients import closing
from mesh.interceptors.send_budget import SendBudget
from tests.mesh.conftest import ECHO, Echo, method

ANSWER_BYTES = 1024 * 1024
SMALL = Policy(any_of=frozenset({"read:stream"}))


async def endless(request: bytes, context: Any) -> AsyncIterator[bytes]:
    while True:
        yield bytes(ANSWER_BYTES)


async def drained(call: Any) -> None:
    while await call.read() is not grpc.aio.EOF:
        pass


async def one(request: bytes, context: Any) -> AsyncIterator[bytes]:
    yield b"here"


async def test_streams_of_a_caller_that_reads_nothing_hold_a_bounded_number_of_bytes(
    serve: Any, connect: Any, minter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting: list[SendBudget] = []
    keep = SendBudget.__init__

    def kept(self: SendBudget, budget: Any) -> None:
        budget._all_bytes, budget._patience_s = 24 * ANSWER_BYTES, 0.5
        counting.append(self)
        keep(self, budget)

    options = wire.client_options

    def small_windows(config: str) -> wire.Options:
        """Of a busy process gRPC guesses a slow network, and takes gigabytes ahead for it."""
        return [*options(config), ("grpc.http2.bdp_probe", 0)]

    monkeypatch.setattr(SendBudget, "__init__", kept)
    monkeypatch.setattr(wire, "client_options", small_windows)
    echo = Echo(server_stream={"Endless": endless, "One": one})
    echo.policies = {method("Endless"): SMALL, method("One"): SMALL}
    running = await serve(echo)
    greedy = await connect(running, tokens=minter("detector").service_token)
    modest = await connect(running, tokens=minter("explainer").service_token)
    calls = [greedy.unary_stream(method("Endless"))(b"") for _ in range(40)]
    for call in calls:
        await asyncio.wait_for(call.initial_metadata(), 60)
    async with asyncio.timeout(60):
        await asyncio.wait(
            [asyncio.ensure_future(call.code()) for call in calls],
            return_when=asyncio.FIRST_COMPLETED,
        )
    assert counting[0]._budget.held_bytes <= 8 * ANSWER_BYTES
    ended = [call for call in calls if call.done()]
    assert ended
    with pytest.raises(errors.Overloaded) as refused, errors.translated():
        await drained(ended[0])
    assert refused.value.reason == "UNREAD"
    assert refused.value.retry_after_s == 0.5
    assert [answer async for answer in modest.unary_stream(method("One"))(b"")] == [b"here"]
    for call in calls:
        call.cancel()
    async with asyncio.timeout(60):
        while counting[0]._budget.held_bytes:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


class Message:
    """What a request was decoded to."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw


class Decoded(Echo):
    """Decodes the requests of `Talk`."""

    def add_to(self, server: grpc.aio.Server) -> None:
        talk = grpc.stream_stream_rpc_method_handler(
            self.bidi["Talk"], request_deserializer=Message
        )
        server.add_registered_method_handlers(ECHO, {"Talk": talk})


async def test_stream_that_waits_for_the_next_message_does_not_keep_the_last(
    serve: Any, connect: Any
) -> None:
    received: list[weakref.ref[Message]] = []

    async def handler(requests: AsyncIterator[Message], context: Any) -> AsyncIterator[bytes]:
        received.append(weakref.ref(await anext(requests)))
        yield b"received"
        await anext(requests, None)

    channel = await connect(await serve(Decoded(bidi={"Talk": handler})))
    async with closing(channel.stream_stream(method("Talk"))()) as call:
        await call.write(b"large")
        assert await call.read() == b"received"
        assert received[0]() is None
