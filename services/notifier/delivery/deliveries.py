"""The worker that delivers: one notice at a time to each integration, all integrations beside."""

import asyncio
import logging
import time
from functools import partial
from typing import Final
from uuid import UUID

from mesh.clock import Clock
from mesh.drain import Drain
from mesh.errors import SensusError
from services.notifier import metrics
from services.notifier.channels.all import FOLDS, RATES
from services.notifier.delivery.replicas import ReplicaWatch
from services.notifier.delivery.sender import Sender
from services.notifier.feed import RoutingFeed
from services.notifier.model.notices import Kind, Outcome
from services.notifier.routing.receivers import channel_of
from services.notifier.store import Claim, Claims, IntegrationKey, Settlements

_AT_ONCE: Final = 64
_SETTLE_AGAIN_S: Final = 0.2

logger = logging.getLogger(__name__)


class Deliveries:
    """Claims, sends, settles.

    A process has one notice under way to each integration, so its death repeats at most one there.
    """

    def __init__(
        self,
        claims: Claims,
        settlements: Settlements,
        sender: Sender,
        feed: RoutingFeed,
        replicas: ReplicaWatch,
        *,
        owner: UUID,
        clock: Clock,
        drain: Drain,
        poll_s: float,
        lease_s: float,
    ) -> None:
        """Looks every `poll_s` for what is due; a claim is settled within `lease_s` or lost.

        Claims as `owner`, while `replicas` shows it to other replicas.
        """
        self._claims = claims
        self._settlements = settlements
        self._sender = sender
        self._feed = feed
        self._clock = clock
        self._drain = drain
        self._poll_s = poll_s
        self._lease_s = lease_s
        self._replicas = replicas
        self._owner = owner
        self._busy: dict[IntegrationKey, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Runs for ever; when it is stopped, what is under way is finished and settled."""
        async with self._replicas.kept():
            try:
                while True:
                    if self._replicas.is_seen and not self._drain.started:
                        await self._look()
                    await self._clock.sleep(self._poll_s)
            finally:
                if self._busy:
                    await asyncio.wait(self._busy.values())

    async def _look(self) -> None:
        try:
            ready = await self._claims.ready()
        except SensusError as error:
            logger.info("notices not looked at", extra={"cause": error.message})
            return
        for way in ready:
            if way not in self._busy and len(self._busy) < _AT_ONCE:
                task = asyncio.create_task(self._serve(way))
                self._busy[way] = task
                task.add_done_callback(partial(self._done, way))

    def _done(self, way: IntegrationKey, _: "asyncio.Task[None]") -> None:
        self._busy.pop(way, None)

    async def _serve(self, way: IntegrationKey) -> None:
        """Delivers to one integration until nothing is due there."""
        try:
            if not self._feed.routing.has(way.receiver, way.integration):
                # it may be newer than the routing read last; what has no receiver fails for good
                await self._feed.refresh()
            while not self._drain.started and (claim := await self._claim(way)) is not None:
                await self._deliver(claim)
        except SensusError as error:
            logger.info("delivery put off", extra={"cause": error.message})
        except Exception:
            logger.exception("delivery failed", extra={"receiver": way.receiver})

    async def _claim(self, way: IntegrationKey) -> Claim | None:
        channel = channel_of(way.integration)
        receiver = self._feed.routing.receivers.get(way.receiver)
        rate = (receiver.rate if receiver else None) or RATES.get(channel)
        return await self._claims.claim(way, self._owner, rate, folds=channel in FOLDS)

    async def _deliver(self, claim: Claim) -> None:
        started_s = time.perf_counter()
        outcome = await self._sender.send(claim, self._feed.routing)
        await self._settle(claim, outcome, 1000 * (time.perf_counter() - started_s))

    async def _settle(self, claim: Claim, outcome: Outcome, latency_ms: float) -> None:
        """Writes it down, as often as it takes while the claim is ours: the telling was done."""
        until_s = self._clock.monotonic_s() + self._lease_s
        while True:
            try:
                settled = await self._settlements.settle(
                    claim, outcome, latency_ms, self._feed.routing
                )
                break
            except SensusError as error:
                if self._clock.monotonic_s() > until_s:
                    logger.warning("outcome not kept", extra={"cause": error.message})
                    metrics.LOST_CLAIMS.inc()
                    return
                await self._clock.sleep(_SETTLE_AGAIN_S)
        if not settled.counted:
            metrics.LOST_CLAIMS.inc()
            return
        self._observe(claim, outcome, is_given_up=settled.is_given_up)
        if settled.is_opened:
            note = {"receiver": claim.notice.receiver, "integration": claim.notice.integration}
            logger.error("receiver does not answer", extra=note | {"cause": outcome.error})

    def _observe(self, claim: Claim, outcome: Outcome, *, is_given_up: bool) -> None:
        notice = claim.notice
        channel = channel_of(notice.integration)
        result = "sent" if outcome.is_sent else "failed" if is_given_up else "retry"
        metrics.ATTEMPTS.labels(channel, result).inc()
        if outcome.is_sent:
            late_s = max(0.0, (self._clock.now_ms() - notice.event_ms) / 1000)
            metrics.LATENCY.labels(channel).observe(late_s)
            if notice.kind is Kind.DIGEST:
                metrics.FOLDED.inc()
