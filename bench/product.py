"""The product as benches start it: in a directory of its own, without a limit of the rate."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import grpc
import psutil

from cli.product.directory import DataDirectory
from cli.product.product import Product
from cli.product.tokens import user_token
from mesh.interceptors import client_interceptors
from mesh.wire import OWN_CONNECTIONS
from tests.ports import free_ports

_SETTINGS: Final = {"SENSUS_INGEST_MAX_CALLER_SAMPLES_PER_S": "1000000000"}
_CALL_S: Final = 60.0
_AGAIN_S: Final = 1.0
_LATER: Final = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
_IDLE_SHARE: Final = 0.4
"""Of a core, over `_IDLE_S`."""
_IDLE_S: Final = 10


@asynccontextmanager
async def running() -> AsyncIterator[Product]:
    """The product, as `sensus up` starts it, while the block runs; nothing of it is left."""
    with tempfile.TemporaryDirectory(prefix="sensus-bench-") as directory:
        product = Product(
            directory=DataDirectory(Path(directory) / "data"),
            ports=free_ports(),
            tell=lambda event: None,
            settings=_SETTINGS,
        )
        async with product:
            yield product


@asynccontextmanager
async def channel(product: Product, target: str, *scopes: str) -> AsyncIterator[grpc.aio.Channel]:
    """Calls one service as somebody who may do what `scopes` say."""
    token = user_token(product.directory, scopes=[*scopes])
    tokens = client_interceptors(tokens=lambda: token, default_timeout_s=_CALL_S)
    async with grpc.aio.insecure_channel(target, OWN_CONNECTIONS, interceptors=tokens) as opened:
        yield opened


async def answered(export: Any, request: Any) -> Any:
    """The answer; asked again while there is none for now, as senders do."""
    while True:
        try:
            return await export(request)
        except grpc.aio.AioRpcError as error:
            if error.code() not in _LATER:
                raise
            await asyncio.sleep(_AGAIN_S)


async def until_idle(product: Product) -> None:
    """Waits until the product does no more than it always does.

    One that has just started compiles its code, and one that was sent much works on it for long,
    with pauses.
    """
    used_s = [0.0]
    while len(used_s) <= _IDLE_S or used_s[-1] - used_s[-1 - _IDLE_S] > _IDLE_S * _IDLE_SHARE:
        await asyncio.sleep(1)
        used_s.append(sum(cpu_s_by_process(product).values()))


def cpu_s_by_process(product: Product) -> dict[str, float]:
    """CPU seconds that each process of the product used so far, with its children."""
    used_s = {}
    for child in product.children:
        process = psutil.Process(child.pid)
        processes = (process, *process.children(recursive=True))
        used_s[child.name] = sum(_cpu_s(each) for each in processes)
    return used_s


def _cpu_s(process: psutil.Process) -> float:
    """None of a process that ended since it was listed, as a training child does."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return times.user + times.system
