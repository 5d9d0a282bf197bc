"""Group commit of notices: calls at the same time share a transaction and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from mesh.clock import SystemClock
from mesh.postgres import Pool, open_pool
from services.ingest.alerts.committer import NoticeCommitter
from services.ingest.model.alerts import AlertState, Notice, NoticeOutcome, Severity
from services.ingest.store.episodes import EpisodeStore
from tests.ingest.harness import Running

START_MS = 1_795_168_800_000


class Store(EpisodeStore):
    """The real store; remembers how many notices each write had."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool, timeout_s=60)
        self.sizes: list[int] = []

    async def write(self, notices: Sequence[Notice], now_ms: int) -> Sequence[NoticeOutcome]:
        self.sizes.append(len(notices))
        return await super().write(notices, now_ms)


def notice(name: str, *, text: str = "", traceparent: str = "") -> Notice:
    return Notice(
        fingerprint=name,
        labels=(("alertname", name),),
        annotations=(("summary", text),),
        state=AlertState.FIRING,
        severity=Severity.WARNING,
        episode_ms=START_MS,
        start_ms=START_MS,
        end_ms=None,
        generator_url="",
        traceparent=traceparent,
    )


@pytest.fixture
async def pool(shared: Running) -> AsyncIterator[Pool]:
    async with open_pool(shared.dsn, application_name="test") as pool:
        yield pool


async def test_calls_at_the_same_time_share_few_transactions(pool: Pool) -> None:
    store = Store(pool)
    committer = NoticeCommitter(store, SystemClock())
    calls = [[notice(f"together-{n}", traceparent=f"trace-{n}")] for n in range(100)]
    outcomes = await asyncio.gather(*map(committer.commit, calls))
    assert [[outcome.alert_id for outcome in each] for each in outcomes] == [
        [f"together-{n}-{START_MS}"] for n in range(100)
    ]
    assert all(outcome.is_new for each in outcomes for outcome in each)
    assert sum(store.sizes) == 100
    assert len(store.sizes) <= 3
    query = "SELECT traceparent FROM ingest.alert_change WHERE alert_id = $1"
    for n in (0, 99):
        assert await pool.fetchval(query, f"together-{n}-{START_MS}") == f"trace-{n}"


async def test_the_same_notice_in_two_calls_is_stored_once(pool: Pool) -> None:
    committer = NoticeCommitter(Store(pool), SystemClock())
    outcomes = await asyncio.gather(*(committer.commit([notice("twice")]) for _ in range(5)))
    assert sum(each[0].is_new for each in outcomes) == 1


async def test_a_call_that_is_given_up_takes_no_other_down(pool: Pool) -> None:
    committer = NoticeCommitter(Store(pool), SystemClock())
    calls = [asyncio.create_task(committer.commit([notice(f"given-up-{n}")])) for n in range(10)]
    await asyncio.sleep(0)
    calls[0].cancel()
    calls[5].cancel()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    gone = [n for n, each in enumerate(outcomes) if isinstance(each, BaseException)]
    assert gone == [0, 5]


async def test_a_notice_that_cannot_be_stored_takes_no_other_call_down(pool: Pool) -> None:
    committer = NoticeCommitter(Store(pool), SystemClock())
    calls = [notice("good-1"), notice("bad", text="\0"), notice("good-2")]
    outcomes = await asyncio.gather(
        *(committer.commit([each]) for each in calls), return_exceptions=True
    )
    assert [isinstance(each, Exception) for each in outcomes] == [False, True, False]
    assert (await committer.commit([notice("good-1")]))[0].is_new is False


async def test_more_than_a_group_holds_goes_in_several(pool: Pool) -> None:
    store = Store(pool)
    committer = NoticeCommitter(store, SystemClock())
    calls = [[notice(f"many-{n}-{k}") for k in range(900)] for n in range(4)]
    outcomes = await asyncio.gather(*map(committer.commit, calls))
    assert [len(each) for each in outcomes] == [900] * 4
    assert store.sizes == [1800, 1800]
