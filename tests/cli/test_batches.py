"""A blocking source becomes batches that are full or old enough."""

import asyncio
import queue
from collections.abc import Iterator

import pytest

from cli.send.batches import batches


async def test_items_keep_their_order_and_no_batch_is_too_long() -> None:
    found = [batch async for batch in batches(iter(range(10)), 4)]
    assert [item for batch in found for item in batch] == list(range(10))
    assert max(map(len, found)) <= 4


async def test_an_item_does_not_wait_for_a_source_that_pauses() -> None:
    source: queue.Queue[int | None] = queue.Queue()

    def blocking() -> Iterator[int]:
        while (item := source.get()) is not None:
            yield item

    stream = batches(blocking(), 1000)
    source.put(1)
    async with asyncio.timeout(60):
        assert await anext(stream) == [1]
    source.put(None)
    assert [batch async for batch in stream] == []


async def test_what_the_source_raises_comes_after_what_it_gave() -> None:
    def breaking() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    stream = batches(breaking(), 10)
    assert await asyncio.wait_for(anext(stream), 25) == [1]
    with pytest.raises(ValueError, match="broken"):
        await anext(stream)
