"""Whose tokens and keys hold, as this gateway knows it, for itself and for the other services."""

import asyncio
import hmac
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from mesh.auth import Standing, Standings
from mesh.clock import Clock
from mesh.drain import Drain
from mesh.errors import Unavailable
from services.gateway.auth.roles import SCOPES_BY_ROLE
from services.gateway.model import ApiKey, StandingFrame
from services.gateway.secrets import hash_of, key_id_of
from services.gateway.store import StandingStore

ASK_EVERY_S: Final = 0.5
HEARTBEAT_S: Final = 1.0
_ASK_AGAIN_S: Final = 0.1
_FRAME_ENTRIES: Final = 1000

logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class StandingKeeper:
    """Asks the database twice a second for what has changed and holds all of it in memory.

    So a request costs no query, and a key that does not exist costs none either.
    """

    store: StandingStore
    standings: Standings
    clock: Clock
    drain: Drain
    _keys: dict[str, tuple[ApiKey, bytes]] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _asked_at_s: float = float("-inf")
    _asking: "asyncio.Lock" = field(default_factory=asyncio.Lock)

    async def run(self) -> None:
        """Keeps the table fresh for ever; a worker of the process."""
        while True:
            try:
                await self.refresh()
            except Unavailable:
                logger.info("whose tokens hold is not known anew: the database is away")
            self.standings.tidy()
            await self.clock.sleep(ASK_EVERY_S)

    async def refresh(self) -> None:
        """Takes over what has changed in the database.

        Raises:
            Unavailable: It does not answer.
        """
        async with self._asking:
            changes = await self.store.after(self.standings.revision, SCOPES_BY_ROLE)
            self._asked_at_s = self.clock.monotonic_s()
            if changes.complete:
                self._keys.clear()
            self._keys |= {key.key_id: (key, hashed) for key, hashed in changes.keys}
            if changes.standings or changes.complete:
                self.standings.apply(changes.revision, changes.standings, complete=changes.complete)
                self._changed.set()
                self._changed = asyncio.Event()
            else:
                self.standings.refresh()

    async def notice(self) -> None:
        """Takes over a change that was just committed, so that it holds here with its answer."""
        with suppress(Unavailable):
            await self.refresh()

    def key(self, credential: str) -> ApiKey | None:
        """The key of that secret, in whatever standing; None when there is none."""
        key, hashed = self._keys.get(key_id_of(credential), (None, b""))
        return key if hmac.compare_digest(hashed, hash_of(credential)) else None

    async def ask_soon(self) -> None:
        """Asks the database before its turn: another gateway may have made a key just now.

        At most ten times a second, whoever asks how often; the others go on at once.
        """
        is_due = self.clock.monotonic_s() - self._asked_at_s >= _ASK_AGAIN_S
        if is_due and not self._asking.locked():
            await self.notice()

    async def follow(self, after_revision: int) -> AsyncIterator[StandingFrame]:
        """Frames for another service, until the gateway drains.

        Heartbeats are sent only while the database answers: silence tells that nothing is known.
        """
        revision = after_revision
        if revision == 0 or revision > self.standings.revision:
            revision = self.standings.revision
            for frame in _frames(self.standings.after(0), revision, complete=True):
                yield frame
        while not self.drain.started:
            changed, newer = self._changed, self.standings.after(revision)
            if newer:
                revision = self.standings.revision
                for frame in _frames(newer, revision, complete=False):
                    yield frame
            elif self._is_known_now:
                yield StandingFrame(revision=revision)
            await self._something(changed)
        yield StandingFrame(revision=revision, draining=True)

    @property
    def _is_known_now(self) -> bool:
        return self.clock.monotonic_s() - self._asked_at_s < HEARTBEAT_S + ASK_EVERY_S

    async def _something(self, changed: asyncio.Event) -> None:
        waits = [asyncio.ensure_future(changed.wait()), asyncio.ensure_future(self.drain.wait())]
        try:
            await asyncio.wait(waits, timeout=HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()


def _frames(entries: Sequence[Standing], revision: int, *, complete: bool) -> list[StandingFrame]:
    """Frames of a bounded size; only the first one says that it is complete."""
    starts = range(0, len(entries), _FRAME_ENTRIES) or [0]
    parts = [tuple(entries[start : start + _FRAME_ENTRIES]) for start in starts]
    ends = [part[-1].revision for part in parts[:-1]] + [revision]
    return [
        StandingFrame(revision=end, entries=part, complete=complete and part is parts[0])
        for part, end in zip(parts, ends, strict=True)
    ]
