"""One stream of an alerts subscription: claim what is due, deliver within credit, ack or nack."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from mesh.clock import Clock
from mesh.drain import Drain
from mesh.errors import InvalidInput, Unavailable
from services.ingest.alerts.alert_signal import AlertSignal
from services.ingest.long_stream import Put
from services.ingest.metrics import BURIED, DELIVERED, STREAM_LAG, shown
from services.ingest.model.subscription import AlertDelivery
from services.ingest.store.deliveries import DeliveryStore, QueueTerms
from services.ingest.store.leases import LeaseStore, Membership
from services.ingest.subscribe.credit import StreamCredit
from services.ingest.subscribe.frames import (
    Ack,
    ConsumerFrame,
    Credit,
    Draining,
    Heartbeat,
    Nack,
    OpenSubscription,
    ServerFrame,
)

_MOST_CLAIMED: Final = 64
_ROUND_S: Final = 0.02
"""At least so long from one claim to the next: a storm of alerts is claimed many at a time."""
_TEND_EVERY_S: Final = 0.5
_LOOK_EVERY_S: Final = 0.5
_DELIVERY_BYTES: Final = 1024
_ID: Final = re.compile(r"([0-9]{1,18})\.([0-9]{1,9})")

logger = logging.getLogger(__name__)


def delivery_id(delivery: AlertDelivery) -> str:
    """The name of one attempt, good on any stream of the subscription."""
    return f"{delivery.delivery_id}.{delivery.attempt}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertParts:
    """What alert sessions share."""

    deliveries: DeliveryStore
    leases: LeaseStore
    alert_signal: AlertSignal
    clock: Clock
    drain: Drain
    drain_grace_s: float


class AlertSession:
    """From `open` to the end of one stream."""

    def __init__(
        self, parts: AlertParts, member: Membership, opened: OpenSubscription, put: Put[ServerFrame]
    ) -> None:
        """`member` has entered the subscription already."""
        self._parts = parts
        self._member = member
        self._opened = opened
        self._put = put
        self._delivered = 0
        self._unacked: set[int] = set()
        self._acked: set[int] = set()
        self._has_acked = asyncio.Event()
        self._purse = StreamCredit()
        self._purse.add(opened.credit)
        self._terms = QueueTerms(
            subscription=opened.subscription,
            consumer_id=opened.consumer_id,
            session_id=member.session_id,
            selector=opened.selector,
            ack_deadline_s=opened.ack_deadline_s,
            max_attempts=opened.max_attempts,
        )

    async def run(self, frames: AsyncIterator[ConsumerFrame]) -> None:
        """Returns when the consumer has half-closed, or after the grace of a drain.

        A consumer whose stream breaks keeps its deliveries for a while: it may come back.
        """
        works = (self._stay, self._tend, self._deliver, self._settle, self._beat)
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(work()) for work in works]
            reading = tasks.create_task(self._read(frames))
            running.append(tasks.create_task(self._stop(reading)))
            await asyncio.wait([reading])
            for task in running:
                task.cancel()
        await self._ack_noted()
        await asyncio.shield(self._leave())

    async def _read(self, frames: AsyncIterator[ConsumerFrame]) -> None:
        async for frame in frames:
            match frame:
                case Credit():
                    self._purse.add(frame)
                case Ack():
                    self._acked.update(number for number, _ in _numbers(frame.delivery_ids))
                    self._has_acked.set()
                case Nack():
                    await self._nack(frame)
                case OpenSubscription():
                    message = "`open` comes once: open another stream"
                    raise InvalidInput(message, reason="OPEN_TWICE")

    async def _nack(self, frame: Nack) -> None:
        attempts = _numbers(frame.delivery_ids)
        buried = await self._parts.deliveries.nack(
            self._terms,
            attempts,
            reason=frame.reason,
            after_s=frame.redeliver_after_s,
            permanent=frame.permanent,
        )
        self._unacked.difference_update(number for number, _ in attempts)
        BURIED.labels(shown(self._terms.subscription)).inc(buried)

    async def _settle(self) -> None:
        """Acks of one moment go to the database together, the next ones gather meanwhile."""
        while True:
            await self._has_acked.wait()
            self._has_acked.clear()
            await self._ack_noted()

    async def _ack_noted(self) -> None:
        """Cancelled by a half-close or failed, it keeps the acks for the next call."""
        if acked := self._acked:
            self._acked = set()
            try:
                await self._parts.deliveries.ack(self._terms.subscription, [*acked])
            except BaseException:
                self._acked |= acked
                raise
            self._unacked -= acked

    async def _tend(self) -> None:
        while True:
            with suppress(Unavailable):
                buried = await self._parts.deliveries.tend(self._terms)
                BURIED.labels(shown(self._terms.subscription)).inc(buried)
            await asyncio.sleep(_TEND_EVERY_S)

    async def _deliver(self) -> None:
        all_were_sent = False  # what is leased to this consumer: not after a broken stream or claim
        while not self._parts.drain.started:
            await self._purse.wait()
            began_s = self._parts.clock.monotonic_s()
            try:
                if not all_were_sent:
                    await self._parts.deliveries.reclaim(self._terms, self._unacked)
                    all_were_sent = True
                count = await self._deliver_due()
            except Unavailable:
                count, all_were_sent = 0, False
            if count == 0:
                await self._parts.alert_signal.wait(_LOOK_EVERY_S)
            await asyncio.sleep(began_s + _ROUND_S - self._parts.clock.monotonic_s())

    async def _deliver_due(self) -> int:
        await self._parts.deliveries.fill(self._terms)
        most = min(_MOST_CLAIMED, self._purse.samples)
        claimed = await self._parts.deliveries.claim(self._terms, most)
        for delivery in claimed:
            self._delivered = max(self._delivered, delivery.change_id)
            self._unacked.add(delivery.delivery_id)
            self._purse.spend(1, _DELIVERY_BYTES)
            DELIVERED.labels(shown(self._terms.subscription)).inc()
            await self._put(delivery)
        return len(claimed)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._opened.heartbeat_s)
            try:
                lag = await self._parts.deliveries.lag(self._terms.subscription, self._delivered)
            except Unavailable:
                await self._put(Heartbeat((), self._parts.clock.now_ms()))
                continue
            STREAM_LAG.labels(shown(self._terms.subscription), "0").set(lag.lag)
            await self._put(Heartbeat([lag], self._parts.clock.now_ms()))

    async def _stay(self) -> None:
        while True:
            try:
                await self._parts.leases.stay(self._member)
            except Unavailable:
                logger.warning("presence could not be noted", extra={"member": self._member})
            await asyncio.sleep(min(1.0, self._parts.leases.ttl_s / 5))

    async def _stop(self, reading: "asyncio.Task[None]") -> None:
        await self._parts.drain.wait()
        await self._put(Draining(self._parts.drain_grace_s))
        await asyncio.sleep(self._parts.drain_grace_s)
        reading.cancel()

    async def _leave(self) -> None:
        try:
            await self._parts.leases.leave(self._member)
        except Unavailable:
            logger.warning("presence runs out by itself", extra={"member": self._member})


def _numbers(delivery_ids: Sequence[str]) -> list[tuple[int, int]]:
    """Delivery and attempt; what is no delivery_id of ours is skipped."""
    found = (_ID.fullmatch(each) for each in delivery_ids)
    return [(int(each[1]), int(each[2])) for each in found if each]
