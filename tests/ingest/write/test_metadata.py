"""Descriptions of metrics: each caller has its share, and what is known can always change."""

import asyncio

import asyncpg
import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from sensus.ingest.v1 import ingest_service_pb2 as pb
from services.ingest.model.metadata import Metadata, MetricType
from services.ingest.store.metadata import MetadataStore
from tests.ingest.harness import Running, status_of


def described(help: str, *names: str) -> list[Metadata]:
    """Gauges with one meaning."""
    return [Metadata(name, MetricType.GAUGE, "", help) for name in names]


async def test_no_caller_takes_the_share_of_another(cleared_dsn: str) -> None:
    async with asyncpg.create_pool(cleared_dsn, min_size=1, max_size=1) as pool:
        store = MetadataStore(pool, most=5, most_of_caller=3)
        await store.save("user:a", described("one", *"abcdef"))
        await store.save("user:b", described("two", *"axyz"))
        await store.save("user:a", described("three", *"bg"))
        found = [(each.said.name, each.said.help) for each in await store.page("", "", 10)]
    assert found == [("a", "two"), ("b", "three"), ("c", "one"), ("x", "two"), ("y", "two")]


async def listed(ingest: Running, request: pb.ListMetadataRequest) -> list[pb.MetricMetadata]:
    """Of all pages."""
    found = list[pb.MetricMetadata]()
    while True:
        page = await ingest.stub.ListMetadata(request)
        found += page.metadata
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


async def test_what_changed_is_told_apart_from_what_is_known(service: Running) -> None:
    """By the time of the change; what is said again as it was is no change."""

    async def changed() -> list[str]:
        asked = pb.ListMetadataRequest(page_size=1, changed_since=since)
        return [each.metric for each in await listed(service, asked)]

    async with asyncpg.create_pool(service.dsn, min_size=1, max_size=1) as pool:
        store, since = MetadataStore(pool), Timestamp()
        await store.save("user:a", described("old", "a", "b", "c"))
        known = await listed(service, pb.ListMetadataRequest())
        assert [each.metric for each in known] == ["a", "b", "c"]
        newest_ns = max(each.update_time.ToNanoseconds() for each in known)
        since.FromNanoseconds(newest_ns)
        assert await changed() == ["a", "b", "c"]
        since.FromNanoseconds(newest_ns + 2_000_000)  # times are asked for in milliseconds
        await asyncio.sleep(0.01)
        await store.save("user:a", described("old", "c"))
        assert await changed() == []
        await store.save("user:a", described("new", "b", "d"))
        assert await changed() == ["b", "d"]


async def test_page_of_another_time_and_a_time_that_is_none_are_refused(service: Running) -> None:
    async with asyncpg.create_pool(service.dsn, min_size=1, max_size=1) as pool:
        await MetadataStore(pool).save("user:a", described("old", "a", "b"))
    first = pb.ListMetadataRequest(page_size=1, changed_since=Timestamp(seconds=1))
    token = (await service.stub.ListMetadata(first)).next_page_token
    for bad, reason in (
        (pb.ListMetadataRequest(page_size=1, page_token=token), "INVALID_PAGE_TOKEN"),
        (pb.ListMetadataRequest(changed_since=Timestamp(seconds=-1)), "INVALID_TIME_RANGE"),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await service.stub.ListMetadata(bad)
        assert status_of(caught.value) == ("INVALID_ARGUMENT", reason)
