"""Who opens many streams gets no more of the loop than who has one."""

import asyncio
import threading
from collections.abc import Sequence

import numpy as np

from services.ingest.config import Limits
from services.ingest.model.series_table import UNKNOWN_SLOT, SeriesTable
from services.ingest.write.row_check import check_rows
from services.ingest.write.turns import Turns, beside, in_parts


async def test_work_of_one_caller_is_done_one_after_the_other() -> None:
    turns, inside, most = Turns(), {"a": 0, "b": 0}, {"a": 0, "b": 0}
    both = asyncio.Event()

    async def work(caller: str) -> None:
        async with turns.of(caller):
            inside[caller] += 1
            most[caller] = max(most[caller], inside[caller])
            if all(inside.values()):
                both.set()
            await both.wait()
            inside[caller] -= 1

    await asyncio.gather(*(work(caller) for caller in "aaabbb"))
    assert most == {"a": 1, "b": 1}, "and both callers at the same time, or nobody would go on"


async def test_a_look_at_many_rows_is_no_business_of_the_loop() -> None:
    here = threading.get_ident()
    assert await beside(10, threading.get_ident) == here
    assert await beside(100_000, threading.get_ident) != here


def test_the_first_reason_that_applies_is_given() -> None:
    slots = np.array([UNKNOWN_SLOT, UNKNOWN_SLOT, UNKNOWN_SLOT], np.int32)
    times = np.array([0, 10**15, 1_700_000_000_000], np.int64)
    checked = check_rows(SeriesTable(10), slots, times, 1_700_000_000_000, Limits())
    assert [refusal.reason.value for refusal in checked.refusals] == ["UNKNOWN_SERIES"] * 3
    assert not len(checked.good)


async def test_others_have_the_loop_between_the_parts_of_many() -> None:
    """A body of new series is looked up in parts: nobody waits for all of it."""
    beats, items, parts = [0], [*range(10_000)], list[Sequence[int]]()

    async def beat() -> None:
        while True:
            beats[0] += 1
            await asyncio.sleep(0)

    beating = asyncio.create_task(beat())
    async for part in in_parts(items):
        parts.append(part)
    beating.cancel()
    assert [each for part in parts for each in part] == items
    assert beats[0] >= len(parts) > 1
