"""Is it ready? The same questions Kubernetes asks."""

import grpc
import httpx
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mesh.wire import OWN_CONNECTIONS

_TIMEOUT_S = 2.0


async def grpc_ready(target: str) -> bool:
    """True when the gRPC server at `target` and everything it depends on serve."""
    request = health_pb2.HealthCheckRequest(service="readiness")
    async with grpc.aio.insecure_channel(target, OWN_CONNECTIONS) as channel:
        try:
            answer = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=_TIMEOUT_S)
        except grpc.aio.AioRpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def http_ready(url: str) -> bool:
    """True when GET `url` answers 200."""
    async with httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False) as client:
        try:
            return (await client.get(url)).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False
