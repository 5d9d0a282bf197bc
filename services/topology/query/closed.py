"""What minutes and hours that never change again add up to, kept in memory up to a limit."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor

from cachetools import LRUCache

from services.topology.minutes.packing import merged
from services.topology.minutes.sums import size_bytes, summed
from services.topology.minutes.table import MinuteTable
from services.topology.query.blocks import Block, cover
from services.topology.query.spans import HOUR
from services.topology.store.minutes import MinuteStore, Standing

Contents = Mapping[Block, Sequence[bytes]]
Tables = dict[Block, MinuteTable]


class ClosedMinutes:
    """Reads each of them once, as long as there is room; who asks meanwhile waits for that."""

    def __init__(self, store: MinuteStore, pool: Executor, *, limit_bytes: int) -> None:
        """Adds up in `pool`, one thread at a time."""
        self._store = store
        self._pool = pool
        self._limit_bytes = limit_bytes
        self._kept: LRUCache[Block, MinuteTable] = LRUCache(limit_bytes, getsizeof=size_bytes)
        self._shards = 0
        self._reading = asyncio.Lock()

    async def tables(
        self, hours: Sequence[int], minutes: Sequence[int], standing: Standing
    ) -> list[MinuteTable]:
        """Tables that together hold some hours and some minutes, which must be final."""
        blocks = [*(Block(hour * HOUR, HOUR) for hour in hours), *cover(minutes)]
        async with self._reading:
            if standing.shards != self._shards:
                # a shard that is counted for the first time may hold minutes of before
                self._kept.clear()
                self._shards = standing.shards
            held, missing = dict[Block, MinuteTable](), list[Block]()
            for block in blocks:
                self._look(block, held, missing)
            contents = await self._store.contents(
                [each.first // HOUR for each in missing if each.length == HOUR],
                [each.first for each in missing if each.length == 1],
            )
            read = {
                each: contents.get((each.first // each.length, each.length == HOUR), ())
                for each in missing
            }
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, self._added, blocks, held, read)

    def _look(self, block: Block, held: Tables, missing: list[Block]) -> None:
        """Finds what is kept of a block, and what must be read."""
        known = self._kept.get(block)
        if known is not None:
            held[block] = known
        elif block.is_stored:
            missing.append(block)
        else:
            for part in block.parts:
                self._look(part, held, missing)

    def _added(self, blocks: Sequence[Block], held: Tables, read: Contents) -> list[MinuteTable]:
        size = sum(len(content) for contents in read.values() for content in contents)
        if size > self._limit_bytes:
            # to keep what does not fit costs more than to add it up once
            return [*held.values(), merged([each for found in read.values() for each in found])]
        return [self._table(each, held, read) for each in blocks]

    def _table(self, block: Block, held: Tables, read: Contents) -> MinuteTable:
        if block in held:
            return held[block]
        if block.is_stored:
            table = merged(read[block])
        else:
            table = summed([self._table(part, held, read) for part in block.parts])
        if size_bytes(table) <= self._limit_bytes:
            self._kept[block] = table
        return table
