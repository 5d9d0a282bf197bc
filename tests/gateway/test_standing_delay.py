"""How old the gateway's word on a caller can be, counted on a clock that the test moves."""

import asyncio
from typing import TYPE_CHECKING

import pytest

from mesh.auth import Standings
from mesh.drain import Drain
from mesh.postgres import open_pool
from services.gateway.auth.standing import StandingKeeper
from services.gateway.store import StandingStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.gateway.model import StandingFrame

PROMISED_S = 5.0
DISABLED = "UPDATE gateway.account SET disabled = true WHERE user_name = 'ann'"
DELETED = "DELETE FROM gateway.account WHERE user_name = 'ann'"
ANN = "INSERT INTO gateway.account (user_name, password_hash, role) VALUES ('ann', '', 'viewer')"


class SteppedClock:
    """A clock that goes on only when the test lets a sleeper go on."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._sleepers: asyncio.Queue[tuple[float, asyncio.Event]] = asyncio.Queue()

    def now_ms(self) -> int:
        return round(self.now_s * 1000)

    def monotonic_s(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        over = asyncio.Event()
        self._sleepers.put_nowait((seconds, over))
        await over.wait()

    async def pass_one_sleep(self) -> None:
        """Waits until somebody sleeps, and ends that sleep."""
        seconds, over = await self._sleepers.get()
        self.now_s += seconds
        over.set()


@pytest.mark.parametrize(("change", "ended"), [(DISABLED, "disabled"), (DELETED, "deleted")])
async def test_a_change_by_hand_is_sent_to_the_services_after_one_more_question(
    migrated_dsn: str, change: str, ended: str
) -> None:
    """A service takes a frame over as it arrives: the delay is the time between two questions."""
    clock, drain = SteppedClock(), Drain()
    async with open_pool(migrated_dsn, application_name="test") as pool:
        await pool.execute(ANN)
        keeper = StandingKeeper(
            store=StandingStore(pool),
            standings=Standings(clock, grace_s=60.0),
            clock=clock,
            drain=drain,
        )
        await keeper.refresh()
        running = asyncio.create_task(keeper.run())
        frames = keeper.follow(0)
        first = await anext(frames)
        assert [(entry.subject, entry.ended) for entry in first.entries] == [("user:ann", "")]
        await pool.execute(change)
        changed_at_s = clock.now_s
        arriving = asyncio.ensure_future(_with_entries(frames))
        for _ in range(2):  # the question that may have been asked already, and the next
            await clock.pass_one_sleep()
        frame = await asyncio.wait_for(arriving, 60)
        running.cancel()
    assert [(entry.subject, entry.ended) for entry in frame.entries] == [("user:ann", ended)]
    assert clock.now_s - changed_at_s < PROMISED_S / 2


async def _with_entries(frames: "AsyncIterator[StandingFrame]") -> "StandingFrame":
    async for frame in frames:
        if frame.entries:
            return frame
    raise AssertionError("the gateway ended the stream")
