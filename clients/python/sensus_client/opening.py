"""A sender opened for the length of a block."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

from sensus_client.batch import Sample
from sensus_client.channel import Channel
from sensus_client.errors import UnavailableError
from sensus_client.memory import MemoryOutbox
from sensus_client.outbox import Outbox
from sensus_client.sender import Ack, SampleSender, Sent


@asynccontextmanager
async def open_sender(
    channel: Channel,
    producer_id: str = "",
    *,
    outbox: Outbox | None = None,
    acked: Callable[[Ack], None] = lambda ack: None,
    batch_age_s: float = 1.0,
    patience_s: float | None = None,
    flush_timeout_s: float | None = None,
) -> AsyncIterator["OpenSender"]:
    """A sender that works in the background; leaving waits for the last ack.

    Args:
        channel: To ingest.
        producer_id: Of this sender alone; not needed with a `Spool`.
        outbox: `MemoryOutbox()` when not given; closed at the end.
        acked: As in `SampleSender`.
        batch_age_s: As in `SampleSender`.
        patience_s: As in `SampleSender`.
        flush_timeout_s: The longest wait for the last ack; a `Spool` keeps what is left, of a
            `MemoryOutbox` that is UnavailableError. None waits as long as `patience_s` allows.

    Raises:
        RefusedError, UnavailableError: From within the block, or at its end.
    """
    outbox = outbox or MemoryOutbox()
    sender = SampleSender(
        channel,
        outbox,
        producer_id=producer_id,
        acked=acked,
        batch_age_s=batch_age_s,
        patience_s=patience_s,
    )
    running = asyncio.create_task(sender.run())
    opened = OpenSender(sender, running)
    try:
        yield opened
        await _flushed(opened, outbox, flush_timeout_s)
    finally:
        running.cancel()
        sender.stop()
        await asyncio.gather(running, return_exceptions=True)
        await outbox.close()


async def _flushed(opened: "OpenSender", outbox: Outbox, timeout_s: float | None) -> None:
    if outbox.producer_id:  # what is on disk is safe, what has not got there is not
        await opened.push()
    try:
        async with asyncio.timeout(timeout_s):
            await opened.flush()
    except TimeoutError:
        if not outbox.producer_id:
            raise UnavailableError(f"no ack within {timeout_s:g} s") from None


class OpenSender:
    """A sender at work. Each method raises what ended the work, instead of waiting for ever."""

    def __init__(self, sender: SampleSender, running: "asyncio.Task[None]") -> None:
        self._sender = sender
        self._running = running

    @property
    def sent(self) -> Sent:
        """What was done so far."""
        return self._sender.sent

    async def write(self, samples: Iterable[Sample]) -> None:
        """As `SampleSender.write`."""
        await self._unless_ended(self._sender.write(samples))

    async def send(self, samples: Iterable[Sample]) -> None:
        """As `SampleSender.send`."""
        await self._unless_ended(self._sender.send(samples))

    async def push(self) -> None:
        """As `SampleSender.push`."""
        await self._unless_ended(self._sender.push())

    async def flush(self) -> None:
        """As `SampleSender.flush`."""
        await self._unless_ended(self._sender.flush())

    async def _unless_ended(self, work: Awaitable[None]) -> None:
        working = asyncio.ensure_future(work)
        try:
            await asyncio.wait({working, self._running}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not working.done():
                working.cancel()
                await asyncio.gather(working, return_exceptions=True)
        if working.done() and not working.cancelled():
            working.result()
        else:
            self._running.result()
