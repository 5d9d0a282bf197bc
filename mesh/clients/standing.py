"""Follows the gateway's word on whose tokens hold."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import grpc

from mesh.auth.standing import Standing, Standings
from mesh.clients.retry import Backoff, closing, keep_open
from mesh.clock import Clock
from mesh.errors import SensusError, Unavailable
from sensus.identity.v1 import identity_service_pb2 as pb
from sensus.identity.v1 import identity_service_pb2_grpc as pb_grpc

_TIDY_EVERY_S: Final = 0.5
_REFUSED_WAIT_S: Final = 5.0
_WAIT_CAP_S: Final = 1.0
_SILENCE_S: Final = 3.0
"""Three heartbeats: then another gateway is asked."""

logger = logging.getLogger(__name__)


class StandingFeed:
    """Keeps a table of standings as new as the gateway's; a worker of the process."""

    def __init__(self, channel: grpc.aio.Channel, standings: Standings, clock: Clock) -> None:
        """Asks over `channel`, to the gateway. `on_known` is called when it ends a silence."""
        self._stub = pb_grpc.IdentityServiceStub(channel)
        self._standings = standings
        self._clock = clock
        self.on_known: Callable[[], Awaitable[object]] | None = None

    async def run(self) -> None:
        """Follows for ever, whatever the gateway says: without it only services get in."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow())
            tasks.create_task(self._tidy())

    async def _follow(self) -> None:
        while True:
            try:
                await keep_open(self._session, name="standing", waits=Backoff(cap_s=_WAIT_CAP_S))
            except SensusError as error:
                note = {"reason": error.reason, "cause": error.message}
                logger.warning("the gateway refuses to tell whose tokens hold", extra=note)
            await self._clock.sleep(_REFUSED_WAIT_S)

    async def _session(self, waits: Backoff) -> None:
        request = pb.WatchStandingRequest(after_revision=self._standings.revision)
        async with closing(self._stub.WatchStanding(request)) as call:
            while (frame := await _next(call)) is not None:
                waits.reset()
                was_fresh = self._standings.is_fresh
                self._take(frame)
                if not was_fresh and self.on_known is not None:
                    await self.on_known()

    def _take(self, frame: pb.WatchStandingResponse) -> None:
        match frame.WhichOneof("frame"):
            case "changes":
                entries = _standings(frame.changes.entries, frame.revision)
                complete = frame.changes.complete
                self._standings.apply(frame.revision, entries, complete=complete)
            case "heartbeat":
                self._standings.refresh()
            case _:
                pass

    async def _tidy(self) -> None:
        while True:
            self._standings.tidy()
            await self._clock.sleep(_TIDY_EVERY_S)


async def _next(
    call: "grpc.aio.UnaryStreamCall[pb.WatchStandingRequest, pb.WatchStandingResponse]",
) -> pb.WatchStandingResponse | None:
    """The next frame; None at the end. Silence ends the call: the gateway may hang."""
    try:
        async with asyncio.timeout(_SILENCE_S):
            frame = await call.read()
    except TimeoutError:
        raise Unavailable("the gateway is silent", retry_after_s=None) from None
    return None if frame is grpc.aio.EOF else frame  # type: ignore[return-value]


def _standings(entries: Iterable[pb.Standing], revision: int) -> list[Standing]:
    return [
        Standing(
            subject=entry.subject,
            revision=revision,
            epoch_us=entry.epoch_us,
            kept_session=entry.kept_session,
            scopes=frozenset(entry.scopes),
            ended=entry.ended,
            expires_at_s=(
                entry.expire_time.ToMilliseconds() / 1000
                if entry.HasField("expire_time")
                else float("inf")
            ),
        )
        for entry in entries
    ]
