"""What followers of streams have in common: a stream that must not fall silent, and its end."""

import asyncio
import logging
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final

import grpc

from mesh.errors import OutOfRange, SensusError, Unavailable, translated

if TYPE_CHECKING:
    Call = grpc.aio.StreamStreamCall[Any, Any] | grpc.aio.UnaryStreamCall[Any, Any]

HEARTBEAT_S: Final = 5
MISSED_HEARTBEATS: Final = 3
_CANCEL_AGAIN_S: Final = 1.0
_READ_AGAIN: Final = 1000

logger = logging.getLogger(__name__)


async def frames_of(call: "Call", *, sender: str) -> AsyncGenerator[Any]:
    """Frames until the sender drains; the time in which one is worked on does not count.

    Raises:
        grpc.aio.AioRpcError: The stream broke.
        Unavailable: The sender is silent.
    """
    silence_s = float(MISSED_HEARTBEATS * HEARTBEAT_S)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(silence_s) as limit:
            async for frame in call:
                limit.reschedule(None)
                if frame.WhichOneof("frame") == "draining":
                    return
                yield frame
                limit.reschedule(loop.time() + silence_s)
    except TimeoutError:
        raise Unavailable(f"{sender} has been silent for {silence_s:g} s") from None


@contextmanager
def surviving(stream: str) -> Iterator[None]:
    """Inside, one session of a stream runs.

    Raises:
        Unavailable: In place of an unforeseen error, which is logged: the stream is opened again.
        SensusError, grpc.RpcError: As they come.
    """
    try:
        yield
    except (SensusError, grpc.RpcError):
        raise
    except Exception as error:
        error_id = uuid.uuid4().hex
        logger.exception("unforeseen error", extra={"stream": stream, "error_id": error_id})
        raise Unavailable(f"internal error {error_id}") from error


@asynccontextmanager
async def going_back(back: Callable[[int], Awaitable[None]], *, stream: str) -> AsyncIterator[None]:
    """Inside, a log is watched. One that went back, because it was restored from an older copy, is
    read again from `back(cursor)`, a thousand entries before its end: what was taken in before is
    known by its id, and nothing that came meanwhile is missed.

    Raises:
        Unavailable: The log went back: open it again.
    """
    try:
        with translated():
            yield
    except OutOfRange as error:
        cursor = max(0, int(error.metadata.get("last", "0")) - _READ_AGAIN)
        logger.warning("a log went back", extra={"stream": stream, "cause": error.message})
        await back(cursor)
        raise Unavailable(f"{stream} are read again from {cursor}") from error


async def stopped(*tasks: "asyncio.Task[Any]") -> None:
    """Ends tasks and waits until they have ended.

    A cancellation is lost where cleaning up raises another error that is caught: it is repeated.
    """
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=_CANCEL_AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)
