"""What minutes and hours that never change again add up to, kept in memory up to a limit."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial

from cachetools import LRUCache

from services.topology.minutes.packing import merged
from services.topology.minutes.sums import size_bytes, summed
from services.topology.minutes.table import MinuteTable
from services.topology.query.blocks import Block, cover
from services.topology.query.spans import HOUR
from services.topology.store.minutes import MinuteStore, Standing


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
        async with self._reading:
            if standing.shards != self._shards:
                # a shard that is counted for the first time may hold minutes of before
                self._kept.clear()
                self._shards = standing.shards
            blocks = cover(minutes)
            single = await self._stored([each for each in blocks if each.is_stored])
            whole = [await self._stored([Block(hour * HOUR, HOUR)]) for hour in hours]
            summed_up = [await self._summed(each) for each in blocks if not each.is_stored]
        return [*single, *(table for tables in whole for table in tables), *summed_up]

    async def _summed(self, block: Block) -> MinuteTable:
        """A block that is not stored; at most its parts are held beside what is kept."""
        known = self._kept.get(block)
        if known is not None:
            return known
        if block.parts[0].is_stored:
            parts = await self._stored(block.parts)
        else:
            parts = [await self._summed(part) for part in block.parts]
        return self._keep(block, await self._in_pool(partial(summed, parts)))

    async def _stored(self, blocks: Sequence[Block]) -> list[MinuteTable]:
        """Blocks as the store holds them: those that are not kept are read with one question."""
        tables = {block: self._kept.get(block) for block in blocks}
        missing = [block for block, table in tables.items() if table is None]
        contents = await self._store.contents(
            [each.first // HOUR for each in missing if each.length == HOUR],
            [each.first for each in missing if each.length == 1],
        )
        for each in missing:
            read = contents.get((each.first // each.length, each.length == HOUR), [])
            tables[each] = self._keep(each, await self._in_pool(partial(merged, read)))
        return [table for table in tables.values() if table is not None]

    def _keep(self, block: Block, table: MinuteTable) -> MinuteTable:
        if size_bytes(table) <= self._limit_bytes:
            self._kept[block] = table
        return table

    async def _in_pool(self, work: Callable[[], MinuteTable]) -> MinuteTable:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)
