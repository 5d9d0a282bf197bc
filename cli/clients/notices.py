"""Routing and notices of the running product."""

import asyncio
from pathlib import Path
from typing import Any

import grpc

from cli.clients.connection import NOTIFIER, connect
from cli.product.directory import DataDirectory
from mesh.errors import translated
from sensus.notifier.v1.notifier_service_pb2_grpc import NotifierServiceStub


async def ask(channel: grpc.aio.Channel, method: str, request: Any) -> Any:
    """The answer of one method.

    Raises:
        SensusError: What the service says.
    """
    with translated():
        return await getattr(NotifierServiceStub(channel), method)(request)


def asked(data_dir: Path, method: str, request: Any) -> Any:
    """The same for a command, of the product that runs in a directory."""

    async def run() -> Any:
        async with connect(DataDirectory(data_dir), NOTIFIER) as channel:
            return await ask(channel, method, request)

    return asyncio.run(run())
