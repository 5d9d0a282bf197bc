"""What waits at the same moment is done as one, and each gets what became of its own."""

import asyncio
from collections.abc import Sequence

import pytest

from mesh.errors import Unavailable
from services.explainer.batching import Batcher


class Works:
    """Doubles numbers once it may, and notes what came together."""

    def __init__(self) -> None:
        self.parts: list[list[int]] = []
        self.reached, self.may = asyncio.Event(), asyncio.Event()

    async def double(self, items: Sequence[int]) -> list[int | Exception]:
        """Twice each; below 0 that one is refused, at 13 the whole part fails."""
        self.parts.append([*items])
        self.reached.set()
        await self.may.wait()
        if 13 in items:
            raise KeyError("nobody foresaw it")
        if 7 in items:
            raise Unavailable("away")
        return [ValueError("below 0") if each < 0 else 2 * each for each in items]


async def test_what_comes_while_something_is_under_way_goes_together_in_the_next() -> None:
    works = Works()
    together = Batcher(works.double, most=3)
    first = asyncio.create_task(together.do(1))
    await works.reached.wait()
    later = [asyncio.create_task(together.do(number)) for number in (2, 3, 4, 5)]
    await asyncio.sleep(0)
    works.may.set()
    assert await asyncio.gather(first, *later) == [2, 4, 6, 8, 10]
    assert works.parts == [[1], [2, 3, 4], [5]]
    assert together.is_idle


async def test_what_is_refused_or_fails_unforeseen_takes_nothing_from_the_others() -> None:
    works = Works()
    works.may.set()
    together = Batcher(works.double)
    answers = await asyncio.gather(*map(together.do, (1, -1, 13, 2)), return_exceptions=True)
    assert [answers[0], answers[3]] == [2, 4]
    assert [type(each) for each in answers[1:3]] == [ValueError, KeyError]


async def test_what_is_away_is_away_for_all_who_came_and_for_no_later_one() -> None:
    works = Works()
    works.may.set()
    together = Batcher(works.double)
    answers = await asyncio.gather(*map(together.do, (1, 7)), return_exceptions=True)
    assert {type(each) for each in answers} == {Unavailable}
    assert await together.do(1) == 2


async def test_who_gives_up_before_its_turn_is_left_out() -> None:
    works = Works()
    together = Batcher(works.double)
    first = asyncio.create_task(together.do(1))
    await works.reached.wait()
    leaving, staying = (asyncio.create_task(together.do(number)) for number in (2, 3))
    await asyncio.sleep(0)
    leaving.cancel()
    works.may.set()
    assert (await first, await staying) == (2, 6)
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert works.parts == [[1], [3]]
