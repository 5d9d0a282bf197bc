"""Health as clients and orchestrators see it."""

import asyncio
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from mesh.clients import open_channel
from mesh.health import Health
from mesh.reflection import V1, V1ALPHA
from mesh.serving import Drain
from tests.mesh.conftest import ECHO, Echo, method, plain_channel

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Dependency:
    """A dependency that can go away."""

    def __init__(self) -> None:
        self.up = True

    async def probe(self) -> None:
        """Answers while it is up."""
        if not self.up:
            raise ConnectionError("gone")


async def echoed(request: bytes, context: Any) -> bytes:
    return request


@pytest.fixture
def dependency() -> Dependency:
    return Dependency()


async def started(serve: Any, dependency: Dependency, answer: bytes = b"") -> Any:
    """An echo service that needs `dependency` and answers with `answer`."""

    async def handler(request: bytes, context: Any) -> bytes:
        return answer or request

    health = Health([ECHO], every_s=0.05)
    await health.add_check("dependency", dependency.probe)
    return await serve(Echo(unary={"Echo": handler}), health=health)


async def asked(target: str, service: str) -> int:
    """What a plain Check without a token says."""
    async with plain_channel(target) as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        return int((await health_pb2_grpc.HealthStub(channel).Check(request)).status)


async def test_readiness_follows_the_dependencies_and_liveness_does_not(
    serve: Any, dependency: Dependency
) -> None:
    dependency.up = False
    running = await started(serve, dependency)
    assert [await asked(running.target, name) for name in (ECHO, "readiness", "")] == [
        NOT_SERVING,
        NOT_SERVING,
        SERVING,
    ]
    assert running.health.components()["dependency"].detail == "gone"
    dependency.up = True
    async with asyncio.timeout(60):
        while await asked(running.target, "readiness") != SERVING:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert running.health.components()["dependency"].healthy


async def test_probe_that_hangs_counts_as_down() -> None:
    health = Health([ECHO], probe_timeout_s=0.05)
    await health.add_check("slow", lambda: asyncio.sleep(10))
    assert not await health.probe()
    assert health.components()["slow"].detail == "TimeoutError"


async def test_what_was_well_and_is_late_once_does_not_count_as_down() -> None:
    health = Health([ECHO], probe_timeout_s=0.05)
    waits_s = [0.0, 10.0, 0.0, 10.0, 10.0]

    async def probe() -> None:
        await asyncio.sleep(waits_s.pop(0))

    await health.add_check("busy", probe)
    assert await health.probe()
    assert not await health.probe()
    assert waits_s == []


async def test_unknown_service_is_not_found(serve: Any, dependency: Dependency) -> None:
    running = await started(serve, dependency)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asked(running.target, "nobody")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_watch_passes_the_interceptors_without_a_token(
    serve: Any, dependency: Dependency
) -> None:
    running = await started(serve, dependency)
    async with plain_channel(running.target) as channel:
        request = health_pb2.HealthCheckRequest(service=ECHO)
        call = health_pb2_grpc.HealthStub(channel).Watch(request)
        assert (await call.read()).status == SERVING
        dependency.up = False
        assert (await call.read()).status == NOT_SERVING
        dependency.up = True
        assert (await call.read()).status == SERVING
        call.cancel()


async def test_client_goes_to_the_healthy_replica_and_comes_back(serve: Any, minter: Any) -> None:
    left, right = Dependency(), Dependency()
    ports = [(await started(serve, d, n)).port for d, n in ((left, b"l"), (right, b"r"))]
    target = "ipv4:" + ",".join(f"127.0.0.1:{port}" for port in ports)
    async with open_channel(target, service=ECHO, tokens=None, caller="test") as channel:
        ask: Any = channel.unary_unary(method("Echo"))
        await _answers(ask, {b"l", b"r"})
        left.up = False
        await _answers(ask, {b"r"})
        right.up = False
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _answers(ask, set())
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        left.up = right.up = True
        await _answers(ask, {b"l", b"r"}, patient=True)


async def test_draining_server_is_not_serving_before_it_refuses(
    serve: Any, dependency: Dependency
) -> None:
    running = await started(serve, dependency)
    async with plain_channel(running.target) as channel:
        call = health_pb2_grpc.HealthStub(channel).Watch(
            health_pb2.HealthCheckRequest(service=ECHO)
        )
        assert (await call.read()).status == SERVING
        stopping = asyncio.create_task(running.server.stop(3, 1))
        assert (await call.read()).status == NOT_SERVING
        assert not running.drain.started, "there is notice before the drain"
        assert await channel.unary_unary(method("Echo"))(b"still") == b"still"
        assert await asked(running.target, "") == SERVING
        await stopping
        assert running.drain.started


@pytest.mark.parametrize("version", [V1, V1ALPHA])
async def test_reflection_names_and_describes_what_is_served(
    serve: Any, dependency: Dependency, version: str
) -> None:
    running = await started(serve, dependency)
    async with plain_channel(running.target) as channel:
        ask = channel.stream_stream(
            f"/{version}/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        symbols = ("grpc.health.v1.Health.Check", version, f"{version}.ServerReflectionInfo")
        requests = [reflection_pb2.ServerReflectionRequest(list_services="")]
        requests += [
            reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol)
            for symbol in (*symbols, "grpc.health.v1.Nothing")
        ]
        listed, *described, unknown = [answer async for answer in ask(iter(requests))]
    names = {service.name for service in listed.list_services_response.service}
    assert names == {ECHO, "grpc.health.v1.Health", V1, V1ALPHA}
    for answer in described:
        assert answer.file_descriptor_response.file_descriptor_proto
    assert unknown.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


async def test_drain_is_heard_by_who_waits() -> None:
    drain = Drain()
    waiting = asyncio.create_task(drain.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    drain.begin()
    drain.begin()
    await asyncio.wait_for(waiting, 60)
    assert drain.started


async def _answers(ask: Any, wanted: set[bytes], *, patient: bool = False) -> None:
    """Calls until the last ten answers are exactly those wanted."""
    last: list[bytes] = []
    async with asyncio.timeout(60):
        while set(last) != wanted or len(last) < 10:
            try:
                last = [*last[-9:], await ask(b"", timeout=20)]
            except grpc.aio.AioRpcError:
                if not patient:
                    raise
            await asyncio.sleep(0.005)
