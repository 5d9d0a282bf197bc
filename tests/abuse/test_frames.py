"""No bytes of a stranger end a gRPC server, or keep it from answering others."""

import asyncio
import os
from collections.abc import Callable, Iterator
from itertools import islice

import pytest

from tests.abuse import hostile_frames
from tests.abuse.hostile_frames import CHECK
from tests.abuse.methods import METHODS, UNARY
from tests.abuse.raw_http2 import call, call_headers, connected, opening, send
from tests.product import Door

ANSWERED_WITHIN_S = 60
# the long form sends one after the other, and so names the one that did it
AT_ONCE = 1 if "SENSUS_LONG_TESTS" in os.environ else 20
ANSWERED_OK = b"grpc-status\x010"
UNIMPLEMENTED = b"grpc-status\x0212"
UNAUTHENTICATED = b"grpc-status\x0216"

Kinds = Callable[[bytes], Iterator[tuple[str, bytes]]]


async def healthy(port: int) -> None:
    """Fails when a stranger's health check is not answered on a fresh connection."""
    received = b""
    async with connected(port) as (reader, writer), asyncio.timeout(ANSWERED_WITHIN_S):
        writer.write(call(CHECK))
        while ANSWERED_OK not in received:
            part = await reader.read(65536)
            assert part, f"closed after {received!r}"
            received += part


async def outlived(door: Door, service: str, port: int, cases: Iterator[tuple[str, bytes]]) -> None:
    """Fails, naming what was sent last, when it ended the process or its server."""
    before = door.process_id(service)
    while group := list(islice(cases, AT_ONCE)):
        await asyncio.gather(*(send(port, data) for _, data in group))
        await survived(door, service, port, "», «".join(name for name, _ in group))
    assert door.process_id(service) == before


async def survived(door: Door, service: str, port: int, name: str) -> None:
    """Fails, naming what was sent, when the server does not answer after it."""
    try:
        await healthy(port)
    except (OSError, TimeoutError, AssertionError) as error:
        raise AssertionError(f"after «{name}» {service} does not answer: {error!r}") from error


async def test_every_other_path_is_refused_and_the_server_goes_on(
    door: Door, service: str, port: int
) -> None:
    await outlived(door, service, port, hostile_frames.paths())
    answer = await send(port, call(b"/\xff"), answer_s=ANSWERED_WITHIN_S, until=UNIMPLEMENTED)
    assert UNIMPLEMENTED in answer


@pytest.mark.parametrize("method", ["unary", "stream"])
@pytest.mark.parametrize(
    "kinds",
    [
        hostile_frames.metadata,
        hostile_frames.messages,
        hostile_frames.frames,
        hostile_frames.beginnings,
        hostile_frames.fuzzed,
    ],
    ids=lambda kinds: kinds.__name__,
)
async def test_hostile_frames_leave_the_server_serving(
    door: Door, service: str, port: int, kinds: Kinds, method: str
) -> None:
    await outlived(door, service, port, kinds(CHECK if method == "unary" else METHODS[service]))


async def test_a_path_that_is_not_utf8_sent_again_and_again_disturbs_nobody(
    door: Door, service: str, port: int
) -> None:
    before = door.process_id(service)
    for _ in range(20):
        await asyncio.gather(*(send(port, call(b"/\xff")) for _ in range(20)))
        await healthy(port)
    assert door.process_id(service) == before


async def test_stranger_is_refused_before_its_message_is_read(service: str, port: int) -> None:
    for extra in ([], [(b"authorization", b"Bearer a.b.c")]):
        data = opening(call_headers(UNARY[service], *extra))
        answer = await send(port, data, answer_s=ANSWERED_WITHIN_S, until=UNAUTHENTICATED)
        assert UNAUTHENTICATED in answer


async def test_connections_that_say_nothing_leave_the_server_serving(
    door: Door, service: str, port: int
) -> None:
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(300)]
    try:
        await healthy(port)
    finally:
        for _, writer in opened:
            writer.close()
