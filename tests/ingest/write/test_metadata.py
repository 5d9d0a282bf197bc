"""Descriptions of metrics: each caller has its share, and what is known can always change."""

import asyncpg

from services.ingest.model.metadata import Metadata, MetricType
from services.ingest.store.metadata import MetadataStore


def described(help: str, *names: str) -> list[Metadata]:
    """Gauges with one meaning."""
    return [Metadata(name, MetricType.GAUGE, "", help) for name in names]


async def test_no_caller_takes_the_share_of_another(cleared_dsn: str) -> None:
    async with asyncpg.create_pool(cleared_dsn, min_size=1, max_size=1) as pool:
        store = MetadataStore(pool, most=5, most_of_caller=3)
        await store.save("user:a", described("one", *"abcdef"))
        await store.save("user:b", described("two", *"axyz"))
        await store.save("user:a", described("three", *"bg"))
        found = [(each.name, each.help) for each in await store.page("", "", 10)]
    assert found == [("a", "two"), ("b", "three"), ("c", "one"), ("x", "two"), ("y", "two")]
