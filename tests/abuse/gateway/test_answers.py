"""An answer leaves as HTTP has it or the connection ends, whatever an application says."""

import asyncio
from typing import Any

import pytest

from tests.abuse.gateway.conftest import served, wire

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def answering(headers: list[tuple[bytes, bytes]], *parts: bytes) -> Any:
    """An application that sends these headers and parts."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body"})

    return app


@pytest.mark.parametrize(
    "header",
    [
        (b"x-a", b"1\r\nset-cookie: b=2"),
        (b"x-a", b"1\n"),
        (b"x-a", b"1\r"),
        (b"x-a", b"\0"),
        (b"x-a: 1\r\nx-b", b"2"),
        (b"x a", b"1"),
        (b"X-A", b"1"),
    ],
)
async def test_a_header_that_is_no_line_never_leaves(header: tuple[bytes, bytes]) -> None:
    app = answering([(b"content-length", b"1"), header], b"x")
    async with served(app) as port, wire(port) as peer:
        await peer.send(GET)
        assert await peer.ended(within_s=60) == b""


@pytest.mark.parametrize(("length", "sent"), [(b"3", b""), (b"5", b"four")])
async def test_a_body_of_another_length_than_told_ends_the_connection(
    length: bytes, sent: bytes
) -> None:
    app = answering([(b"content-length", length)], b"four")
    async with served(app) as port, wire(port) as peer:
        await peer.send(GET)
        assert (await peer.ended(within_s=60)).rpartition(b"\r\n")[2] == sent


async def test_a_stream_begins_before_its_first_part_and_ends_with_its_last() -> None:
    has_begun = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await has_begun.wait()
        await send({"type": "http.response.body", "body": b"ten bytes.", "more_body": True})
        await send({"type": "http.response.body"})

    async with served(app) as port, wire(port) as peer:
        await peer.send(GET)
        status, head, _ = await peer.answer()
        assert (status, b"transfer-encoding: chunked" in head) == (200, True)
        has_begun.set()
        rest = await peer.reader.readuntil(b"\r\n0\r\n\r\n")
        assert rest == b"a\r\nten bytes.\r\n0\r\n\r\n"


@pytest.mark.parametrize("headers", [[(b"content-length", b"4")], []])
async def test_head_is_answered_without_a_body(headers: list[tuple[bytes, bytes]]) -> None:
    async with served(answering(headers, b"four")) as port, wire(port) as peer:
        await peer.send(b"HEAD" + GET[3:] + b"HEAD" + GET[3:])
        for _ in range(2):
            head = await peer.reader.readuntil(b"\r\n\r\n")
            assert (head[:15], b"chunked" in head) == (b"HTTP/1.1 200 OK", False)


@pytest.mark.parametrize("request_line", [b"GET / HTTP/1.0\r\n", b"GET / HTTP/1.1\r\n"])
async def test_an_answer_says_that_the_connection_ends(request_line: bytes) -> None:
    app = answering([(b"content-length", b"1")], b"x")
    async with served(app) as port, wire(port) as peer:
        await peer.send(request_line + b"Host: a\r\nConnection: close\r\n\r\n")
        whole = await peer.ended(within_s=60)
        assert (b"connection: close\r\n" in whole, whole[-1:]) == (True, b"x")
