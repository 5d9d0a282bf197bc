"""A subscriber to events that survives whatever happens to ingest, as a service would."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np

from sensus.ingest.v1 import ingest_service_pb2 as pb
from services.ingest.model.events import EVENT, Events

_AGAIN_S = 0.2
_AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED)


@dataclass(slots=True)
class EventReader:
    """Holds every shard and goes on after the last position that it has seen of each."""

    stub: Any
    subscription: str
    cursors: dict[int, int] = field(default_factory=dict)
    parts: list[Events] = field(default_factory=list)
    operations: dict[int, tuple[str, str]] = field(default_factory=dict)
    exceptions: dict[int, str] = field(default_factory=dict)
    patterns: dict[int, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    @property
    def rows(self) -> Events:
        """All rows so far."""
        return np.concatenate([np.empty(0, EVENT), *self.parts])

    async def run(self) -> None:
        """Reads for ever."""
        while True:
            try:
                await self._read()
            except grpc.aio.AioRpcError as error:
                if error.code() not in _AGAIN:
                    raise
            except asyncio.InvalidStateError:
                pass  # how a write is refused on a call that has just ended
            await asyncio.sleep(_AGAIN_S)

    async def _read(self) -> None:
        call = self.stub.Subscribe()
        await call.write(pb.SubscribeRequest(open=self._open()))
        async for frame in call:
            match frame.WhichOneof("frame"):
                case "assignment":
                    for each in frame.assignment.assigned:
                        start = pb.ShardStart(shard=each.shard, epoch=each.epoch)
                        start.after_cursor = self.cursors.get(each.shard, 0)
                        await call.write(pb.SubscribeRequest(shard_start=start))
                case "events":
                    self._take(frame.events)
                case "draining":
                    call.cancel()
                    return

    def _open(self) -> pb.SubscribeOpen:
        opened = pb.SubscribeOpen(
            subscription=self.subscription,
            consumer_id="reader",
            topic=pb.TOPIC_EVENTS,
            mode=pb.SUBSCRIPTION_MODE_SHARDED,
            initial_credit=pb.SubscribeCredit(samples=100_000_000),
        )
        opened.heartbeat_interval.FromSeconds(1)
        return opened

    def _take(self, delivery: pb.EventDelivery) -> None:
        self.cursors[delivery.shard] = delivery.cursor
        self.parts.append(np.frombuffer(delivery.rows, EVENT))
        names = delivery.names
        self.operations |= {each.id: (each.service, each.name) for each in names.operations}
        self.exceptions |= {each.id: each.type for each in names.exceptions}
        self.patterns |= {each.id: each.text for each in names.patterns}
        self.messages += [each.message for each in delivery.examples]


@asynccontextmanager
async def reading(stub: Any, subscription: str) -> AsyncIterator[EventReader]:
    """A reader that works while the block runs; what has ended it before is raised."""
    reader = EventReader(stub, subscription)
    task = asyncio.create_task(reader.run())
    try:
        yield reader
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
