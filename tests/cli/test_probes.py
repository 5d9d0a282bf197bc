"""Probes ask what Kubernetes asks."""

import asyncio

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from cli.processes.child import READY, SILENT, Answer
from cli.product import probes
from cli.product.probes import grpc_probe, http_probe

SERVING = health_pb2.HealthCheckResponse.SERVING
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine an answer may take longer than a probe waits."""
    monkeypatch.setattr(probes, "PROBE_TIMEOUT_S", 60)


async def test_a_grpc_server_is_ready_when_its_readiness_serves() -> None:
    server, servicer = grpc.aio.server(), health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    await servicer.set("", SERVING)
    await servicer.set("readiness", NOT_SERVING)
    waiting = await grpc_probe(target)
    assert (waiting.alive, waiting.ready) == (True, False)
    await servicer.set("readiness", SERVING)
    assert await grpc_probe(target) == READY
    await server.stop(None)
    assert await grpc_probe(target) == SILENT


async def test_a_server_without_health_has_answered() -> None:
    server = grpc.aio.server()
    target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    answer = await grpc_probe(target)
    assert (answer.alive, answer.ready) == (True, False)
    assert answer.detail.startswith("UNIMPLEMENTED")
    await server.stop(None)


async def test_an_http_server_is_ready_when_it_answers_200() -> None:
    answers = iter([b"HTTP/1.1 503 No\r\ncontent-length: 4\r\n\r\nRedis"[:-1], b"", OK])

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(next(answers))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/readyz"
    assert await http_probe(url) == Answer(alive=True, ready=False, detail="503: Redi")
    cut = await http_probe(url)
    assert (cut.alive, cut.ready) == (True, False)
    assert await http_probe(url) == READY
    server.close()
    await server.wait_closed()
    assert await http_probe(url) == SILENT
