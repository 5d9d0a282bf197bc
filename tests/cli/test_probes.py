"""Probes ask what Kubernetes asks."""

import asyncio

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from cli.probes import grpc_ready, http_ready

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def test_a_grpc_server_is_ready_when_its_readiness_serves() -> None:
    server, servicer = grpc.aio.server(), health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    await servicer.set("", SERVING)
    await servicer.set("readiness", NOT_SERVING)
    assert not await grpc_ready(target)
    await servicer.set("readiness", SERVING)
    assert await grpc_ready(target)
    await server.stop(None)
    assert not await grpc_ready(target)


async def test_an_http_server_is_ready_when_it_answers_200() -> None:
    statuses = iter(["503 Service Unavailable", "200 OK"])

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {next(statuses)}\r\ncontent-length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/readyz"
    assert [await http_ready(url), await http_ready(url)] == [False, True]
    server.close()
    await server.wait_closed()
    assert not await http_ready(url)
