"""Routing and notices of the running product."""

import uuid
from typing import Any

import grpc

from mesh.errors import translated
from sensus.notifier.v1.notifier_service_pb2_grpc import NotifierServiceStub


async def ask(channel: grpc.aio.Channel, method: str, request: Any) -> Any:
    """The answer of one method.

    Raises:
        SensusError: What the service says.
    """
    with translated():
        return await getattr(NotifierServiceStub(channel), method)(request)


def request_id() -> str:
    """A new one: a call that is repeated by itself sends once."""
    return uuid.uuid4().hex
