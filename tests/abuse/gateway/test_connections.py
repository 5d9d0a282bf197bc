"""Connections that are held for nothing end, and others do not notice them."""

import asyncio
from contextlib import AsyncExitStack

import httpx
import pytest
from prometheus_client import REGISTRY

from services.gateway.http.connection import OTHER_METHOD
from tests.abuse.gateway.conftest import Wire, wire
from tests.gateway.conftest import Running, Start, reason_of

SLOW_BODY = (
    b"POST /api/v1/auth/refresh HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    b"Content-Length: 100\r\n\r\n{"
)
GET = b"GET /?a=1 HTTP/1.1\r\nHost: a\r\n\r\n"


async def test_a_silent_connection_is_ended(port: int) -> None:
    async with wire(port) as silent:
        assert await silent.ended(within_s=60) == b""


async def test_half_a_head_is_408_however_it_drips(port: int) -> None:
    async with wire(port) as slow:
        await slow.send(b"GET / HTTP/1.1\r\nHost: a\r\n")
        dripping = asyncio.create_task(drip(slow, b"X-Pad: 1\r\n"))
        status, head, body = await asyncio.wait_for(slow.answer(), 60)
        assert (status, b"HEAD_TOO_SLOW" in body) == (408, True)
        assert b"connection: close" in head
        await slow.ended(within_s=60)
        dripping.cancel()


async def drip(slow: Wire, data: bytes) -> None:
    """Sends a little, for ever."""
    while True:
        await slow.send(data)
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("part", [b"", b"x"])
async def test_a_body_that_stalls_or_drips_is_408(port: int, part: bytes) -> None:
    async with wire(port) as slow:
        await slow.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\nab")
        dripping = asyncio.create_task(drip(slow, part))
        status, _, body = await asyncio.wait_for(slow.answer(), 60)
        assert (status, b"BODY_TOO_SLOW" in body) == (408, True)
        await slow.ended(within_s=60)
        dripping.cancel()


async def test_an_idle_connection_is_ended_after_its_requests(port: int) -> None:
    async with wire(port) as idle:
        await idle.send(GET)
        assert (await idle.answer())[0] == 200
        await idle.send(GET)
        assert (await idle.answer())[0] == 200
        assert await idle.ended(within_s=60) == b""


async def test_blank_lines_keep_no_connection(port: int) -> None:
    async with wire(port) as blank:
        dripping = asyncio.create_task(drip(blank, b"\r\n"))
        assert await blank.ended(within_s=60) == b""
        dripping.cancel()


async def test_a_body_that_goes_on_after_its_answer_is_ended(port: int) -> None:
    async with wire(port) as endless:
        await endless.send(b"POST /?early=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\nab")
        assert (await endless.answer())[2] == b"early"
        dripping = asyncio.create_task(drip(endless, b"x"))
        assert await endless.ended(within_s=60) == b""
        dripping.cancel()


async def test_the_rest_of_a_body_may_come_after_its_answer(port: int) -> None:
    async with wire(port) as late:
        await late.send(b"POST /?early=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab")
        assert (await late.answer())[2] == b"early"
        await late.send(b"cd" + GET)
        assert (await late.answer())[0] == 200


def cut(reason: str) -> float:
    """Connections ended for a reason."""
    labels = {"reason": reason}
    return REGISTRY.get_sample_value("sensus_http_connections_cut_total", labels) or 0.0


@pytest.mark.parametrize("head", [b"", b"Connection: close\r\n"])
async def test_a_reader_that_reads_nothing_is_cut(port: int, head: bytes) -> None:
    before = cut("slow_reader")
    async with wire(port, limit=1024) as slow:
        await slow.send(b"GET /?bytes=20000000 HTTP/1.1\r\nHost: a\r\n" + head + b"\r\n")
        async with asyncio.timeout(60):
            while cut("slow_reader") == before:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert len(await slow.ended(within_s=60)) < 20_000_000


async def test_a_slow_but_steady_reader_gets_all(port: int) -> None:
    size = 4_000_000
    async with wire(port, limit=4096) as slow:
        await slow.send(b"GET /?bytes=%d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % size)
        await slow.reader.readuntil(b"\r\n\r\n")
        for _ in range(20):
            await slow.reader.readexactly(size // 20)
            await asyncio.sleep(0.2)


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 40_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: 1\r\n" * 101 + b"\r\n", 431),
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", 400),
        (b"GET \xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET http:// HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ],
)
async def test_a_head_beyond_the_limits_is_refused_with_a_reason(
    port: int, request_bytes: bytes, status: int
) -> None:
    async with wire(port) as odd:
        await odd.send(request_bytes)
        seen, head, body = await asyncio.wait_for(odd.answer(), 60)
        assert (seen, b"connection: close" in head) == (status, True)
        assert b'"message"' in body
        await odd.ended(within_s=60)


async def test_a_header_line_without_end_is_not_kept(port: int) -> None:
    async with wire(port) as endless:
        await endless.send(b"GET / HTTP/1.1\r\nX: ")
        sent = 0
        try:
            while sent < 20_000_000:
                await endless.send(b"a" * 8192)
                sent += 8192
        except ConnectionError:
            pass
        assert sent < 20_000_000


async def test_headers_after_a_body_are_left_out(port: int) -> None:
    async with wire(port) as late:
        await late.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2\r\nab\r\n0\r\nX-Api-Key: stolen\r\n\r\n"
        )
        status, head, body = await late.answer()
        assert (status, body, b"x-api-key" in head) == (200, b"ab", False)


async def test_more_requests_than_answers_are_read_end_the_connection(port: int) -> None:
    async with wire(port) as flood:
        await flood.send(GET * 5)
        for _ in range(5):
            assert (await flood.answer())[0] == 200
        await flood.send(GET * 5000)
        seen = await flood.ended(within_s=60)
        assert 0 < seen.count(b"HTTP/1.1 200") <= 20


@pytest.mark.parametrize(
    "broken", [b"lerts\r\n\r\n", b"GET / HTTP/7\r\n\r\n", GET[:-2] + b":\r\n\r\n"]
)
async def test_what_is_broken_behind_a_whole_request_costs_it_no_answer(
    port: int, broken: bytes
) -> None:
    async with wire(port) as lying:
        await lying.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab" + GET + broken
        )
        status, _, body = await lying.answer()
        assert (status, body) == (200, b"ab")
        assert (await lying.answer())[0] == 200
        status, head, _ = await lying.answer()
        assert (status, b"connection: close" in head) == (400, True)
        assert await lying.ended(within_s=60) == b""


async def test_an_unknown_method_is_one_word_and_keeps_the_connection(port: int) -> None:
    async with wire(port) as odd:
        for method in (b"QWERTYUIOPASDFGH", b"PROPFIND", b"M-SEARCH", b"x"):
            await odd.send(method + b" /?a=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab")
            status, head, body = await odd.answer()
            assert (status, body) == (200, b"ab")
            assert f"x-method: {OTHER_METHOD}".encode() in head


async def test_an_upgrade_that_is_not_offered_is_ignored(port: int) -> None:
    async with wire(port) as upgrade:
        await upgrade.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n"
            b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP\r\nContent-Length: 2\r\n\r\nab"
        )
        status, _, body = await upgrade.answer()
        assert (status, body) == (200, b"ab")
        await upgrade.send(GET)
        assert (await upgrade.answer())[0] == 200


async def test_probes_are_served_beside_any_number_of_silent_connections(start: Start) -> None:
    async with start(max_connections=40, max_connections_per_address=30) as running:
        port = running.http.base_url.port
        assert port
        async with AsyncExitStack() as stack:
            for _ in range(100):
                silent = await stack.enter_async_context(wire(port))
                await silent.send(b"GET / HT")
            for path in ("/livez", "/readyz", "/health", "/docs"):
                async with httpx.AsyncClient(base_url=running.url, timeout=60) as http:
                    assert (await http.get(path)).status_code == 200


async def test_only_probes_are_served_where_every_connection_is_busy(start: Start) -> None:
    async with start(max_connections=20, max_connections_per_address=10) as running:
        port = running.http.base_url.port
        assert port
        async with AsyncExitStack() as stack:
            for _ in range(10):
                busy = await stack.enter_async_context(wire(port))
                await busy.send(SLOW_BODY)
            await asyncio.sleep(0.3)
            for _ in range(100):
                silent = await stack.enter_async_context(wire(port))
                await silent.send(b"GET / HT")
            for path in ("/livez", "/readyz", "/health"):
                async with httpx.AsyncClient(base_url=running.url, timeout=60) as http:
                    assert (await http.get(path)).status_code == 200
            async with httpx.AsyncClient(base_url=running.url, timeout=60) as http:
                refused = await http.get("/docs")
            assert (refused.status_code, reason_of(refused)) == (503, "TOO_MANY_CONNECTIONS")
            assert refused.headers["Connection"] == "close"
            assert "Retry-After" in refused.headers
        async with httpx.AsyncClient(base_url=running.url, timeout=60) as http:
            assert await eventually_200(http, "/docs")


async def eventually_200(http: httpx.AsyncClient, path: str) -> bool:
    async with asyncio.timeout(60):
        while (await http.get(path)).status_code != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return True


async def test_an_address_that_is_full_takes_nothing_from_others(start: Start) -> None:
    limits = start(max_connections=60, max_connections_per_address=5)
    async with limits as running, AsyncExitStack() as stack:
        port = running.http.base_url.port
        assert port
        for _ in range(5):
            busy = await stack.enter_async_context(wire(port))
            await busy.send(SLOW_BODY)
        await asyncio.sleep(0.3)
        other = await stack.enter_async_context(wire(port, local_addr=("127.0.0.2", 0)))
        await other.send(b"GET /docs HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await other.answer())[0] == 200


async def test_a_flood_of_connections_does_not_hold_up_a_probe(running: Running) -> None:
    port = running.http.base_url.port
    assert port
    async with AsyncExitStack() as stack:
        opened = [asyncio.open_connection("127.0.0.1", port) for _ in range(300)]
        streams = await asyncio.gather(*opened)
        stack.callback(lambda: [writer.transport.abort() for _, writer in streams])
        assert (await running.http.get("/livez", timeout=30)).status_code == 200
