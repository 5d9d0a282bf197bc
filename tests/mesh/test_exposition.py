"""`/metrics` on its own port."""

import asyncio
import socket
import threading

import httpx
import pytest

from mesh.config import ConfigError
from mesh.telemetry.exposition import metrics_server


async def test_metrics_are_served_beside_800_half_requests_without_a_thread_for_each() -> None:
    with metrics_server("127.0.0.1", 0) as port:
        before = threading.active_count()
        opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(800)]
        for _, writer in opened:
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            answer = await client.get(f"http://127.0.0.1:{port}/metrics", timeout=60)
        assert answer.status_code == 200
        assert "sensus_component_healthy" in answer.text
        assert threading.active_count() <= before + 1
        for _, writer in opened:
            writer.close()


async def test_half_a_request_is_closed_after_a_while() -> None:
    with metrics_server("127.0.0.1", 0) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /metrics HT")
        assert await asyncio.wait_for(reader.read(), 60) == b""
        writer.close()


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET / HTTP/1.1", "200"),
        ("GET /metrics?name[]=x HTTP/1.1", "200"),
        ("GET /other HTTP/1.1", "404"),
        ("POST /metrics HTTP/1.1", "405"),
        ("nonsense", "405"),
    ],
)
async def test_only_a_get_of_the_metrics_is_answered(request_line: str, status: str) -> None:
    with metrics_server("127.0.0.1", 0) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{request_line}\r\nHost: x\r\n\r\n".encode())
        answer = await asyncio.wait_for(reader.read(), 60)
        writer.close()
    assert answer.split()[1].decode() == status


async def test_endless_header_is_not_kept() -> None:
    with metrics_server("127.0.0.1", 0) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000)
        assert await asyncio.wait_for(reader.read(), 60) == b""
        writer.close()


async def test_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}"),
            metrics_server("127.0.0.1", port),
        ):
            pass
