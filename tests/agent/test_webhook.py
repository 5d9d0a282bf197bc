"""A webhook gets each reading as JSON, and one that fails holds up nothing."""

import asyncio
import json

import psutil
import pytest

from mesh.config import ConfigError
from services.agent.machine import Machine
from services.agent.metrics import POSTS
from services.agent.webhook import WebhookPublisher

LABELS = {"instance": "here", "job": "node"}


async def test_reading_is_posted_in_the_documented_form() -> None:
    bodies: list[dict] = []
    statuses = ["200 OK", "500 Internal Server Error", "200 OK"]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        assert head.startswith("post /hook http/1.1\r\n")
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        bodies.append(json.loads(await reader.readexactly(length)))
        status = statuses[len(bodies) - 1]
        writer.write(
            f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
        )
        writer.close()

    machine = Machine(top_processes=0)
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    failed, ok = (POSTS.labels(outcome)._value.get() for outcome in ("failed", "ok"))
    async with server:
        publisher = WebhookPublisher(url, machine, LABELS)
        for _ in statuses:
            await publisher.publish(machine.read())
    await publisher.publish(machine.read())  # nobody listens any more
    assert POSTS.labels("ok")._value.get() - ok == 2
    assert POSTS.labels("failed")._value.get() - failed == 2
    body = bodies[0]
    assert body["host"] == "here"
    assert set(body["cpu"]) == {"usage_percent", "count", "per_cpu"}
    assert body["cpu"]["count"] == len(body["cpu"]["per_cpu"]) == psutil.cpu_count()
    assert body["memory"]["total_bytes"] == psutil.virtual_memory().total
    for part in ("memory", "disk"):
        assert 0 <= body[part]["usage_percent"] <= 100
        assert body[part]["used_bytes"] <= body[part]["total_bytes"]


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "http://",
        "http://[there",
        "http://there:x/",
        "http://a b/",
        "http://é/",
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="must begin with http:// or https:// and name a host"):
        WebhookPublisher(url, Machine(top_processes=0), LABELS)


async def test_a_redirect_to_nonsense_is_a_failed_post() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: http://[there\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        await reader.read()
        writer.close()

    machine = Machine(top_processes=0)
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    failed = POSTS.labels("failed")._value.get()
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
        await WebhookPublisher(url, machine, LABELS).publish(machine.read())
    assert POSTS.labels("failed")._value.get() - failed == 1
