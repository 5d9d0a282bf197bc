"""What a scraper really gets of each service."""

import re

import pytest

from observability.catalogue import metrics
from tests.e2e.scraping import pages, scrape
from tests.product import Door, eventually, webhook

pytestmark = pytest.mark.e2e

IDLE_SERIES_MOST = 250
BY_OPERATION = "sensus_postgres_operation_seconds"
"""Has two series of each statement from its first time on: how many depends on when one asks."""
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
ALERT_EXEMPLAR = (
    r'sensus_processing_duration_seconds_bucket\{kind="alerts".* # \{trace_id="(\w+)"\}'
)


def lines(text: str) -> list[str]:
    """The lines that are series."""
    return [line for line in text.splitlines() if line and not line.startswith("#")]


async def test_idle_service_has_few_series(door: Door) -> None:
    counted = {
        name: sum(not each.startswith(BY_OPERATION) for each in lines(await scrape(url)))
        for name, url in pages(door).items()
    }
    assert {name: count for name, count in counted.items() if count > IDLE_SERIES_MOST} == {}


async def test_each_service_serves_what_it_declares(door: Door) -> None:
    for name, url in pages(door).items():
        text = await scrape(url)
        families = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
        declared = {
            f"{metric.name}_total" if metric.kind == "counter" else metric.name
            for metric in metrics()
            if metric.owner in ("mesh", name)
        }
        assert declared - families == set(), name
        assert {family for family in families if family.startswith(("sensus_", "rpc_"))} <= declared


async def test_no_series_tells_when_it_was_created(door: Door) -> None:
    for url in pages(door).values():
        for accept in ("text/plain", OPEN_METRICS):
            assert "_created" not in await scrape(url, accept)


async def test_bucket_names_the_trace_of_an_alert(door: Door) -> None:
    body = webhook("ExemplarWanted", starts_at="2026-01-01T00:00:00Z")
    (await door.http.post("/api/v1/alerts", json=body)).raise_for_status()

    async def trace_ids() -> list[str] | None:
        text = await scrape(pages(door)["ingest"], OPEN_METRICS)
        return re.findall(ALERT_EXEMPLAR, text) or None

    for trace_id in await eventually(trace_ids, what="a bucket with a trace"):
        assert re.fullmatch(r"[0-9a-f]{32}", trace_id)
