"""Channels to other services: balanced, health-checked, retried, authenticated."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import grpc

from mesh import wire
from mesh.interceptors.client import DEFAULT_TIMEOUT_S, client_interceptors

_RETRY: Final = {
    "maxAttempts": 4,
    "initialBackoff": "0.1s",
    "maxBackoff": "1s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}
_THROTTLING: Final = {"maxTokens": 20, "tokenRatio": 0.5}


@asynccontextmanager
async def open_channel(
    target: str,
    *,
    service: str,
    tokens: Callable[[], str] | None,
    caller: str,
    credentials: grpc.ChannelCredentials | None = None,
    default_timeout_s: float = DEFAULT_TIMEOUT_S,
) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to one service of a peer, closed at the end.

    Every rpc of Sensus may be repeated, so all are retried while the peer is UNAVAILABLE.

    Args:
        target: `host:port`, or `dns:///name:port` for all pods behind a headless service.
        service: Full gRPC name; a peer that says NOT_SERVING for it gets no calls.
        tokens: Gives the bearer token of each call, fresh at that moment.
        caller: This service's name, for the user agent.
        credentials: mTLS; None for plain text.
        default_timeout_s: Deadline of unary calls that set none.
    """
    options = wire.client_options(service_config(service))
    options.append(("grpc.primary_user_agent", f"sensus-{caller}"))
    interceptors = client_interceptors(tokens=tokens, default_timeout_s=default_timeout_s)
    if credentials is None:
        channel = grpc.aio.insecure_channel(target, options, interceptors=interceptors)
    else:
        channel = grpc.aio.secure_channel(target, credentials, options, interceptors=interceptors)
    try:
        yield channel
    finally:
        await channel.close()


def service_config(service: str) -> str:
    """The gRPC service config. It sets no `timeout`: that one fires early and is not propagated."""
    return json.dumps(
        {
            "loadBalancingConfig": [{"round_robin": {}}],
            "healthCheckConfig": {"serviceName": service},
            "methodConfig": [{"name": [{"service": service}], "retryPolicy": _RETRY}],
            "retryThrottling": _THROTTLING,
        }
    )
