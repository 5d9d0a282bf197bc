"""Reads that wait at the same moment: how many questions they become, and what each gets."""

import asyncio

import numpy as np
import pytest

from mesh.errors import Unavailable
from mesh.selector import METRIC_NAME, parse
from services.explainer.evidence.sources.batches import Batches, Read
from services.explainer.model.subjects import SeriesSamples

HOSTS = ["web-1", "web-2", "a|b", "c.d", 'quote"', "back\\slash", "ü(x)*", "x\nnewline"]


def series(number: int, **labels: str) -> SeriesSamples:
    """One without samples."""
    return SeriesSamples(
        series_id=number,
        labels=labels,
        timestamps_ms=np.empty(0, np.int64),
        values=np.empty(0, np.float64),
    )


STORED = [
    series(number, **{METRIC_NAME: metric, "host": host})
    for number, (metric, host) in enumerate((m, h) for m in ("cpu", "memory") for h in HOSTS)
]


class Store:
    """Answers as ingest does, once it may, and notes the questions."""

    def __init__(self, series_max: int = 100) -> None:
        self.asked: list[str] = []
        self.reached, self.may = asyncio.Event(), asyncio.Event()
        self.series_max = series_max

    async def ask(self, selector: str, read: Read) -> list[SeriesSamples] | None:
        """The stored series that match; None when they are too many."""
        self.asked.append(selector)
        self.reached.set()
        await self.may.wait()
        wanted = parse(selector)
        found = [each for each in STORED if wanted.matches(each.labels)]
        return found if len(found) <= self.series_max else None


def read(metric: str = "cpu", **labels: str) -> Read:
    """One of an hour."""
    return Read(metric=metric, labels=labels, start_ms=0, end_ms=3_600_000, samples_max=1000)


def names(found: list[SeriesSamples] | None) -> list[tuple[str, str]]:
    """Metric and host of each."""
    return [(each.labels[METRIC_NAME], each.labels["host"]) for each in found or ()]


async def asked_together(store: Store, *reads: Read) -> list[list[SeriesSamples] | None]:
    """The answers to reads that begin at the same moment."""
    store.may.set()
    batches = Batches(store.ask)
    return await asyncio.gather(*map(batches.samples, reads))


async def test_reads_of_one_moment_are_one_question_and_each_gets_its_own_series() -> None:
    store = Store()
    answers = await asked_together(store, *(read(host=host) for host in HOSTS))
    assert len(store.asked) == 1
    assert [names(each) for each in answers] == [[("cpu", host)] for host in HOSTS]


async def test_who_comes_while_a_question_is_under_way_is_in_the_next() -> None:
    store = Store()
    batches = Batches(store.ask)
    first = asyncio.create_task(batches.samples(read(host="web-1")))
    await store.reached.wait()
    later = [asyncio.create_task(batches.samples(read(host=host))) for host in HOSTS]
    await asyncio.sleep(0)
    store.may.set()
    assert names(await first) == [("cpu", "web-1")]
    assert [names(await each) for each in later] == [[("cpu", host)] for host in HOSTS]
    assert len(store.asked) == 2


async def test_what_differs_in_more_than_a_value_is_asked_apart() -> None:
    store = Store()
    answers = await asked_together(
        store, read(host="web-1"), read("memory", host="web-1"), read("")
    )
    assert len(store.asked) == 3
    assert [len(each or ()) for each in answers] == [1, 1, len(STORED)]


async def test_together_too_many_are_asked_one_by_one() -> None:
    store = Store(series_max=1)
    answers = await asked_together(store, read(host="web-1"), read(host="web-2"), read(host="-"))
    assert [names(each) for each in answers] == [[("cpu", "web-1")], [("cpu", "web-2")], []]
    assert await asked_together(store, read()) == [None]


async def test_many_long_values_stay_within_what_a_selector_may_have() -> None:
    store = Store()
    await asked_together(store, *(read(host=f"{number}" + "." * 300) for number in range(20)))
    assert 1 < len(store.asked) < 10
    assert all(parse(each) for each in store.asked)


async def test_a_question_that_fails_fails_for_all_who_asked_and_for_no_later_one() -> None:
    async def fails(selector: str, wanted: Read) -> list[SeriesSamples] | None:
        raise Unavailable("away")

    batches = Batches(fails)
    reads = [batches.samples(read(host=host)) for host in HOSTS]
    errors = await asyncio.gather(*reads, return_exceptions=True)
    assert {type(each) for each in errors} == {Unavailable}
    with pytest.raises(Unavailable):
        await batches.samples(read(host="web-1"))


async def test_one_who_gives_up_takes_nothing_from_the_others() -> None:
    store = Store()
    batches = Batches(store.ask)
    leaving, staying = (
        asyncio.create_task(batches.samples(read(host=host))) for host in ("web-1", "web-2")
    )
    await store.reached.wait()
    leaving.cancel()
    store.may.set()
    assert names(await staying) == [("cpu", "web-2")]
