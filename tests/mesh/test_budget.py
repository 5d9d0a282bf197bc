"""Bytes that callers make a process hold."""

import asyncio

import pytest

from mesh.budget import ByteBudget
from mesh.errors import Overloaded


async def test_one_caller_gets_a_third_and_the_next_one_still_finds_room() -> None:
    budget = ByteBudget(300, patience_s=0.05)
    for _ in range(10):
        await budget.take("greedy", 10)
    with pytest.raises(Overloaded) as refused:
        await budget.take("greedy", 10)
    assert (refused.value.reason, refused.value.retry_after_s) == ("UNREAD", 0.05)
    await budget.take("modest", 10)
    assert budget.held_bytes == 110


async def test_many_greedy_callers_never_take_it_all() -> None:
    budget = ByteBudget(1000, patience_s=0.01)
    for caller in range(20):
        for _ in range(100):
            try:
                await budget.take(str(caller), 10)
            except Overloaded:
                break
    assert budget.held_bytes < 1000
    await budget.take("late", 1)


async def test_who_waits_goes_on_when_room_is_given_back() -> None:
    budget = ByteBudget(300, patience_s=60)
    held = [await budget.take("a", 50) for _ in range(2)]
    waiting = asyncio.create_task(budget.take("a", 50))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    held[0].shrink(10)
    await asyncio.sleep(0.01)
    assert not waiting.done()
    held[1].release()
    held[1].release()
    assert await asyncio.wait_for(waiting, 60)
    assert budget.held_bytes == 60


async def test_message_larger_than_a_share_passes_when_nothing_else_is_held() -> None:
    budget = ByteBudget(300, patience_s=0.01)
    async with budget.holding("a", 250):
        with pytest.raises(Overloaded):
            await budget.take("b", 100)
    assert budget.held_bytes == 0


async def test_cancelled_wait_takes_nothing() -> None:
    budget = ByteBudget(300, patience_s=60)
    held = await budget.take("a", 100)
    waiting = asyncio.create_task(budget.take("a", 100))
    await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    held.release()
    assert budget.held_bytes == 0


async def test_large_one_is_not_passed_by_small_ones_for_ever() -> None:
    """Four senders that always have something small in work."""
    budget, served = ByteBudget(1000, patience_s=60), []

    async def keep_sending(caller: str) -> None:
        while len(served) < 1000:
            async with budget.holding(caller, 100):
                await asyncio.sleep(0)
                served.append(caller)

    async with asyncio.TaskGroup() as small:
        for caller in ("a", "a", "b", "b"):
            small.create_task(keep_sending(caller))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert budget.held_bytes
        async with budget.holding("large", 900):
            before = len(served)
            served += [""] * 1000
    assert before < 10


async def test_large_one_that_gives_up_lets_the_others_go_on() -> None:
    budget = ByteBudget(1000, patience_s=60)
    held = await budget.take("a", 100)
    large = asyncio.create_task(budget.take("large", 900))
    await asyncio.sleep(0)
    small = asyncio.create_task(budget.take("b", 10))
    await asyncio.sleep(0)
    assert (small.done(), budget.held_bytes) == (False, 100)
    large.cancel()
    await asyncio.wait_for(small, 60)
    held.release()
    assert budget.held_bytes == 10


async def test_admitted_in_the_moment_of_its_cancellation_gives_the_room_back() -> None:
    budget = ByteBudget(300, patience_s=60)
    held = await budget.take("a", 200)
    waiting = asyncio.create_task(budget.take("b", 200))
    await asyncio.sleep(0)
    held.release()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert budget.held_bytes == 0
