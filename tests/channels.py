"""Channels of tests to services."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import grpc

from mesh.clients.channel import service_config
from mesh.interceptors import client_interceptors
from mesh.wire import client_options


@asynccontextmanager
async def patient_channel(
    target: str, *, service: str, tokens: Callable[[], str]
) -> AsyncIterator[grpc.aio.Channel]:
    """As services have it, but a peer that a busy machine makes look unhealthy is called, too."""
    config = json.loads(service_config(service))
    del config["healthCheckConfig"]
    interceptors = client_interceptors(tokens=tokens, default_timeout_s=120)
    async with grpc.aio.insecure_channel(
        target, client_options(json.dumps(config)), interceptors=interceptors
    ) as channel:
        yield channel
