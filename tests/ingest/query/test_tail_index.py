"""The index of the uncompacted log: whatever it knows or has forgotten, no sample is missing."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh import postgres
from services.ingest.model.points import grouped, merged
from services.ingest.model.signatures import SignedBatch, hashed, run_of, signature
from services.ingest.store.samples import SampleStore
from services.ingest.store.tail_index import TailIndex
from tests.ingest.harness import Running, batch_request
from tests.properties import examples

NOW = int(time.time() * 1000)
HOUR = 3_600_000
HOSTS = 8
SERIES = st.lists(st.integers(1, 2**40) | st.integers(1, 20), min_size=1, max_size=30)


@pytest.fixture
async def pool(service: Running) -> AsyncIterator[Any]:
    """Connections of another process than the service's."""
    async with postgres.open_pool(service.dsn, application_name="test", max_size=4) as opened:
        yield opened


class CountedPool:
    """A pool that counts what is taken from it."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self.taken = 0

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Any]:
        self.taken += 1
        async with self._pool.acquire() as connection:
            yield connection


@examples(60)
@given(
    batches=st.lists(SERIES, min_size=1, max_size=12),
    wanted=SERIES,
    others=st.integers(0, 150),
    split=st.integers(0, 12),
)
def test_every_batch_that_holds_a_wanted_series_is_found(
    batches: list[list[int]], wanted: list[int], others: int, split: int
) -> None:
    signed = [
        SignedBatch(
            offset=place + 5,
            min_time_ms=place * 10,
            max_time_ms=place * 10 + 15,
            words=signature(np.array(series, np.int64)),
        )
        for place, series in enumerate(batches)
    ]
    first = run_of(signed[:split]) if signed[:split] else None
    run = run_of(signed[split:], first) if signed[split:] else first
    assert run is not None
    wanted = [*range(2**50, 2**50 + others), *wanted]
    ids = hashed(np.array(wanted, np.int64))
    for after, start_ms, end_ms in ((0, 0, 10**6), (7, 0, 10**6), (0, 30, 60)):
        found = run.holding(ids, after, start_ms, end_ms).tolist()
        inside = {
            batch.offset
            for batch in signed
            if batch.offset > after and batch.max_time_ms >= start_ms and batch.min_time_ms < end_ms
        }
        holding = {n + 5 for n, series in enumerate(batches) if set(series) & set(wanted)}
        assert holding & inside <= set(found) <= inside
        assert found == sorted(set(found))


@pytest.mark.parametrize("spread", [1, 997])
def test_few_other_batches_are_found(spread: int) -> None:
    """One in 250, for neighbouring numbers and for scattered ones."""
    words = signature(np.arange(1000) * spread)
    run = run_of([SignedBatch(offset=1, min_time_ms=0, max_time_ms=1, words=words)])
    others = np.arange(1000, 6000) * spread
    false = sum(len(run.holding(hashed(others[n : n + 1]), 0, 0, 2)) for n in range(len(others)))
    assert 0 < false < len(others) * 0.015
    assert words.nbytes <= 2000


async def test_every_index_reads_what_was_written(
    service: Running, pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that follows each batch, one that comes late, one with room for few, one with none.

    Series are looked up by shard, together, or not at all.
    """
    monkeypatch.setattr("services.ingest.store.samples._FEW_SERIES", 2)
    monkeypatch.setattr("services.ingest.store.samples._MANY_SERIES", 5)
    rng = random.Random(3)
    steady, late, small, none = (
        SampleStore(pool, TailIndex(pool, max_bytes=size)) for size in (10**6, 10**6, 48, 0)
    )
    truth: dict[str, dict[int, float]] = {}
    for sequence in range(1, 41):
        hosts = rng.sample(range(HOSTS), 2)
        rows = [(rng.choice(hosts), NOW - rng.randrange(3 * HOUR), float(n)) for n in range(6)]
        for host, when, value in rows:
            truth.setdefault(str(host), {}).setdefault(when, value)
        await service.stub.WriteBatch(batch_request("p", sequence, rows))
        if sequence in (12, 25):
            service.clock.ahead_ms = 24 * HOUR
            await service.ingest.compactor.compact()
            service.clock.ahead_ms = 0
        for store in (steady, small, none) if sequence % 3 else (steady,):
            await agrees(service, store, truth, rng)
    for store in (steady, late, small, none):
        await agrees(service, store, truth, rng)


async def agrees(
    service: Running, store: SampleStore, truth: dict[str, dict[int, float]], rng: random.Random
) -> None:
    start_ms = NOW - rng.randrange(1, 3 * HOUR)
    ids = await series_ids(service, rng.sample(sorted(truth), rng.randint(1, len(truth))))
    # the log first, as a question does: what is compacted in between is found twice, not never
    by_shard: dict[int, list[int]] = {}
    for series_id, (_, shard) in ids.items():
        by_shard.setdefault(shard, []).append(series_id)
    recent = await store.recent(by_shard, start_ms, NOW + 1)
    older = await store.compacted(list(ids), start_ms, NOW + 1)
    fresh = {
        n: (recent.timestamps_ms[part], recent.values[part])
        for n, part in grouped(recent.series_ids)
    }
    nothing = (np.empty(0, np.int64), np.empty(0))
    for series_id, (host, _) in ids.items():
        both = zip(older.get(series_id, nothing), fresh.get(series_id, nothing), strict=True)
        times, values = merged(*(np.concatenate(pair) for pair in both))
        found = [p for p in zip(times.tolist(), values.tolist(), strict=True) if p[0] >= start_ms]
        assert found == sorted(p for p in truth[host].items() if p[0] >= start_ms)


async def series_ids(service: Running, hosts: list[str]) -> dict[int, tuple[str, int]]:
    """By number, its host and its shard."""
    connection = await asyncpg.connect(service.dsn)
    try:
        rows = await connection.fetch(
            "SELECT series_id, shard, labels ->> 'host' AS host FROM ingest.series "
            "WHERE labels ->> 'host' = ANY($1)",
            hosts,
        )
    finally:
        await connection.close()
    return {row["series_id"]: (row["host"], row["shard"]) for row in rows}


async def test_one_series_is_looked_for_in_its_own_batches(service: Running, pool: Any) -> None:
    for host in range(40):
        await service.stub.WriteBatch(batch_request("p", host + 1, [(host, NOW, 1.0)]))
    tail = await TailIndex(pool).tail()
    [(wanted, _)] = (await series_ids(service, ["7"])).items()
    found = await tail.holding(np.array([wanted]), NOW - HOUR, NOW + HOUR)
    assert tail.known_after == tail.compacted
    assert 1 <= len(found) <= 12
    assert await tail.holding(np.array([wanted]), NOW + 1, NOW + HOUR) == []


async def test_waiting_questions_share_a_reading_that_began_after_them(
    service: Running, pool: Any
) -> None:
    """Also when the one that reads goes away in the middle."""
    counted = CountedPool(pool)
    index = TailIndex(counted)  # type: ignore[arg-type]
    await service.stub.WriteBatch(batch_request("p", 1, [(1, NOW, 1.0)]))
    before = await index.tail()
    given_up = asyncio.create_task(index.tail())
    await asyncio.sleep(0)
    await service.stub.WriteBatch(batch_request("p", 2, [(1, NOW + 1, 1.0)]))
    waiting = [asyncio.create_task(index.tail()) for _ in range(30)]
    await asyncio.sleep(0)
    given_up.cancel()
    tails = await asyncio.gather(*waiting)
    assert {tail.last for tail in tails} == {before.last + 1}
    assert counted.taken <= 4
    [(wanted, _)] = (await series_ids(service, ["1"])).items()
    found = await tails[0].holding(np.array([wanted]), NOW, NOW + HOUR)
    assert found == [before.last, before.last + 1]
