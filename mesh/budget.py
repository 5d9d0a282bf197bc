"""Bytes that callers make a process hold: bounded in all, and shared fairly.

HTTP/2 bounds what a connection buffers, not what a handler holds for a peer that does not read.
Whoever finds no room waits, and is not read from meanwhile, so that its peer feels it.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from mesh.errors import Overloaded
from mesh.metrics import HELD_BYTES

ALL_BYTES: Final = 128 * 1024 * 1024
PATIENCE_S: Final = 5.0
_SHARE: Final = 0.5


class Reservation:
    """A part of a budget, given back by `release`."""

    def __init__(self, budget: "ByteBudget", caller: str, size: int) -> None:
        """Made by `ByteBudget.take`."""
        self._budget = budget
        self.caller = caller
        self.size = size

    def release(self) -> None:
        """Gives everything back; a second time changes nothing."""
        self.shrink(0)

    def shrink(self, size: int) -> None:
        """Gives back what is above `size`."""
        if size < self.size:
            self.resize(size)

    def resize(self, size: int) -> None:
        """Counts what is really in memory, room or not; whoever asks next waits for longer."""
        freed, self.size = self.size - size, size
        self._budget._free(self.caller, freed)


class ByteBudget:
    """What all callers of one kind of call may hold at once.

    A caller may hold half as much as is free. So one alone gets a third of it all, many get less
    each, and some is always left for the next one (the dynamic thresholds of shared switch buffers,
    Choudhury and Hahne 1998). Who asks for more than half of everything waits until nothing is
    held; and nobody passes a caller who waits and holds nothing, or many small ones would keep a
    large one waiting for ever.
    """

    def __init__(self, all_bytes: int = ALL_BYTES, *, patience_s: float = PATIENCE_S) -> None:
        """Nobody waits for room longer than `patience_s`."""
        self._all_bytes = all_bytes
        self._patience_s = patience_s
        self._by_caller: Counter[str] = Counter()
        self._held_bytes = 0
        self._waiting: dict[asyncio.Future[None], Reservation] = {}
        self._closed = False

    @property
    def held_bytes(self) -> int:
        """What all hold now."""
        return self._held_bytes

    async def take(self, caller: str, size: int) -> Reservation:
        """Waits for room.

        Raises:
            Overloaded: There was none in time: UNREAD.
        """
        held = Reservation(self, caller, size)
        if not self._closed and self._fits(held):
            self._change(caller, size)
        else:
            await self._wait(held)
        return held

    @asynccontextmanager
    async def holding(self, caller: str, size: int) -> AsyncIterator[None]:
        """Holds `size` bytes while the block runs; errors as of `take`."""
        held = await self.take(caller, size)
        try:
            yield
        finally:
            held.release()

    async def _wait(self, held: Reservation) -> None:
        admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[admitted] = held
        self._admit()
        try:
            async with asyncio.timeout(self._patience_s):
                await admitted
        except BaseException as error:
            self._leave(admitted, held)
            if isinstance(error, TimeoutError):
                raise self._too_late(held.caller) from None
            raise

    def _leave(self, admitted: "asyncio.Future[None]", held: Reservation) -> None:
        if self._waiting.pop(admitted, None) is None:
            held.release()  # admitted in the moment in which the wait ended
        else:
            self._admit()

    def _too_late(self, caller: str) -> Overloaded:
        return Overloaded(
            f"{self._by_caller[caller]} bytes wait for you: read what was answered, "
            "or open fewer streams",
            reason="UNREAD",
            retry_after_s=self._patience_s,
        )

    def _fits(self, held: Reservation) -> bool:
        own, free = self._by_caller[held.caller], self._all_bytes - self._held_bytes
        if not own and held.size <= _SHARE * free:
            return True  # the first of a caller, however large
        return not self._held_bytes or own + held.size <= _SHARE * (free - held.size)

    def _admit(self) -> None:
        """Lets in who fits, in the order of arrival, up to one who holds nothing and must wait."""
        self._closed = False
        for admitted, held in list(self._waiting.items()):
            if admitted.done():
                continue  # cancelled, about to leave
            if self._fits(held):
                del self._waiting[admitted]
                self._change(held.caller, held.size)
                admitted.set_result(None)
            elif not self._by_caller[held.caller]:
                self._closed = True
                return

    def _free(self, caller: str, size: int) -> None:
        self._change(caller, -size)
        if self._waiting:
            self._admit()

    def _change(self, caller: str, size: int) -> None:
        self._held_bytes += size
        self._by_caller[caller] += size
        if not self._by_caller[caller]:
            del self._by_caller[caller]
        HELD_BYTES.inc(size)
