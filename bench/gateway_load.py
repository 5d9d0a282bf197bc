"""Webhooks as Alertmanager sends them, and clients that send them without any library's cost."""

import asyncio
import itertools
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

CLIENTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A server under load."""

    port: int
    token: str
    process: psutil.Process


@asynccontextmanager
async def server(kind: str) -> AsyncIterator[Target]:
    """One of `bench/gateway_servers.py` in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="sensus-bench-") as directory:
        with (Path(directory) / "log").open("wb") as log:
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "bench.gateway_servers",
                kind,
                directory,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        assert child.stdout is not None
        try:
            port, token = [(await child.stdout.readline()).decode().strip() for _ in range(2)]
            yield Target(port=int(port), token=token, process=psutil.Process(child.pid))
        finally:
            child.terminate()
            await child.wait()


async def flood(target: Target, requests: Sequence[bytes], seconds: float) -> tuple[float, float]:
    """Requests a second with eight clients, and CPU seconds of the server per request."""
    turn = itertools.cycle(requests)
    began_s, used_s = time.perf_counter(), cpu_s(target.process)
    end_s = began_s + seconds
    counts = await asyncio.gather(*(_client(target.port, turn, end_s) for _ in range(CLIENTS)))
    spent_s = time.perf_counter() - began_s
    return sum(counts) / spent_s, (cpu_s(target.process) - used_s) / sum(counts)


async def _client(port: int, requests: Iterator[bytes], end_s: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sent = 0
    while time.perf_counter() < end_s:
        writer.write(next(requests))
        await answered(reader)
        sent += 1
    writer.close()
    return sent


async def answered(reader: asyncio.StreamReader) -> None:
    """Reads one answer to its end."""
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        sys.exit(f"refused: {head.decode()}")
    length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(length))


def cpu_s(process: psutil.Process) -> float:
    """CPU seconds that a process used so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


def post(body: bytes, token: str) -> bytes:
    """A request with that body."""
    head = (
        "POST /api/v1/alerts HTTP/1.1\r\nHost: a\r\nUser-Agent: Alertmanager/0.28\r\n"
        f"Content-Type: application/json\r\nAuthorization: Bearer {token or 'none'}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def webhook(alerts: int, *, first: int = 0) -> bytes:
    """A notice of Alertmanager with so many alerts, each of another instance."""
    shared = {"alertname": "HighLatency", "service": "checkout"}
    return json.dumps(
        {
            "version": "4",
            "groupKey": '{}:{alertname="HighLatency"}',
            "truncatedAlerts": 0,
            "status": "firing",
            "receiver": "sensus",
            "groupLabels": shared,
            "commonLabels": shared,
            "commonAnnotations": {},
            "externalURL": "http://alertmanager.example",
            "alerts": [_alert(shared, number) for number in range(first, first + alerts)],
        }
    ).encode()


def _alert(shared: dict[str, str], number: int) -> dict[str, object]:
    return {
        "status": "firing",
        "labels": shared
        | {
            "severity": "critical",
            "instance": f"10.0.{number // 250}.{number % 250}:9100",
            "job": "node",
            "cluster": "eu-1",
        },
        "annotations": {
            "summary": "The 99th percentile of checkout is above two seconds",
            "description": "p99 is 2.31 s for ten minutes; the budget of the month is at 12 %",
            "runbook_url": "https://runbooks.example/checkout/latency",
        },
        "startsAt": "2026-11-20T10:00:00.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example/graph?g0.expr=up",
        "fingerprint": "c1b6f4ba2b40ba46",
    }
