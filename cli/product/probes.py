"""Does it serve? The same questions that Kubernetes asks, each over a connection of its own."""

import grpc
import httpx
from grpc_health.v1 import health_pb2, health_pb2_grpc

from cli.processes.child import PROBE_TIMEOUT_S, READY, SILENT, Answer
from mesh.wire import OWN_CONNECTIONS

_OPTIONS = [*OWN_CONNECTIONS, ("grpc.enable_http_proxy", 0)]
_NO_ANSWER = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


async def grpc_probe(target: str, service: str = "readiness") -> Answer:
    """Whether the gRPC server at `target` and everything it depends on serve.

    Another `service` asks for one thing that it can do without, such as `standing`.
    """
    request = health_pb2.HealthCheckRequest(service=service)
    async with grpc.aio.insecure_channel(target, _OPTIONS) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            answer = await stub.Check(request, timeout=PROBE_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            if error.code() in _NO_ANSWER:
                return SILENT
            return Answer(alive=True, ready=False, detail=f"{error.code().name}: {error.details()}")
    if answer.status == health_pb2.HealthCheckResponse.SERVING:
        return READY
    return Answer(alive=True, ready=False, detail="it or a dependency does not serve")


async def http_probe(url: str) -> Answer:
    """Whether GET `url` is answered 200; a connection that is accepted and closed is an answer."""
    async with httpx.AsyncClient(timeout=PROBE_TIMEOUT_S, trust_env=False, verify=False) as client:  # noqa: S501
        try:
            answer = await client.get(url)
        except (httpx.TimeoutException, httpx.ConnectError):
            return SILENT
        except httpx.TransportError as error:
            return Answer(alive=True, ready=False, detail=repr(error))
    if answer.status_code == httpx.codes.OK:
        return READY
    return Answer(alive=True, ready=False, detail=f"{answer.status_code}: {answer.text[:200]}")
