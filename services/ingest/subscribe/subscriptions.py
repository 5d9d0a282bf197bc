"""Opening subscriptions of either kind."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TypeVar

from mesh.auth import current_principal
from mesh.errors import InvalidInput
from services.ingest.long_stream import Put, answers
from services.ingest.model.event_entry import EventSegment
from services.ingest.model.samples import Heads, Segment, Stretch
from services.ingest.model.subscription import Topic
from services.ingest.store.deliveries import DeliveryStore
from services.ingest.store.leases import Membership
from services.ingest.subscribe.alert_session import AlertParts, AlertSession
from services.ingest.subscribe.frames import (
    ConsumerFrame,
    OpenSubscription,
    ServerFrame,
    Start,
    SubscriptionOpened,
)
from services.ingest.subscribe.shard_session import ShardParts, ShardSession

S = TypeVar("S", bound=Stretch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscriptions:
    """Serves Subscribe streams."""

    samples: ShardParts[Segment]
    events: ShardParts[EventSegment]
    alerts: AlertParts
    deliveries: DeliveryStore

    def serve(self, frames: AsyncIterator[ConsumerFrame]) -> AsyncIterator[ServerFrame]:
        """Answers one stream.

        Raises:
            InvalidInput: OPEN_REQUIRED, OPEN_TWICE, INVALID_SUBSCRIPTION or what `frames` raises.
            PermissionDenied: SUBSCRIPTION_OWNED.
            Conflict: CONSUMER_REPLACED.
            Unavailable: The database does not answer.
        """
        return answers(lambda put: self._work(frames, put))

    async def _work(self, frames: AsyncIterator[ConsumerFrame], put: Put[ServerFrame]) -> None:
        opened = await anext(frames, None)
        if not isinstance(opened, OpenSubscription):
            raise InvalidInput("the first frame must be `open`", reason="OPEN_REQUIRED")
        member = Membership(
            subscription=opened.subscription,
            consumer_id=opened.consumer_id,
            session_id=uuid.uuid4().hex,
            principal=current_principal(),
        )
        match opened.topic:
            case Topic.SAMPLES:
                await self._sharded(self.samples, opened, member, frames, put)
            case Topic.EVENTS:
                await self._sharded(self.events, opened, member, frames, put)
            case Topic.ALERTS:
                await self._alerts(opened, member, frames, put)

    async def _sharded(
        self,
        parts: ShardParts[S],
        opened: OpenSubscription,
        member: Membership,
        frames: AsyncIterator[ConsumerFrame],
        put: Put[ServerFrame],
    ) -> None:
        heads = await parts.heads.now()
        places = await _places(parts, opened, heads)
        await parts.leases.enter(member, opened.topic.value, places, 0)
        await put(_terms(opened, member, len(heads.offsets)))
        await ShardSession(parts, member, opened, put).run(frames)

    async def _alerts(
        self,
        opened: OpenSubscription,
        member: Membership,
        frames: AsyncIterator[ConsumerFrame],
        put: Put[ServerFrame],
    ) -> None:
        last_change = await self.deliveries.change_at(_time(opened.start))
        await self.alerts.leases.enter(member, opened.topic.value, (), last_change)
        await put(_terms(opened, member, 1))
        await AlertSession(self.alerts, member, opened, put).run(frames)


async def _places(
    parts: ShardParts[S], opened: OpenSubscription, heads: Heads
) -> list[tuple[int, int]]:
    """Where a subscription begins that has not acked anything; nothing for any other."""
    if await parts.leases.has_acked(opened.subscription):
        return []
    if opened.start is Start.LATEST:
        return list(zip(heads.offsets, heads.totals, strict=True))
    place = 0
    if isinstance(opened.start, int):
        place = await parts.log.place_at(heads, opened.start)
    return await parts.log.begins(heads, place)


def _terms(opened: OpenSubscription, member: Membership, shard_count: int) -> SubscriptionOpened:
    return SubscriptionOpened(
        session_id=member.session_id, shard_count=shard_count, heartbeat_s=opened.heartbeat_s
    )


def _time(start: Start | int) -> int | None:
    """Milliseconds of a place in time: 0 for the earliest, None for the latest."""
    if isinstance(start, int):
        return start
    return 0 if start is Start.EARLIEST else None
