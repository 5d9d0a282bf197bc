"""Samples that come twice, before a real ingest: counted once, and the first value stays."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import httpx

NOW_MS = int(time.time() * 1000)


def sample(name: str, value: float, ago_s: int = 10, **labels: Any) -> dict[str, Any]:
    """A sample in the past."""
    at_ms = NOW_MS - ago_s * 1000
    return {"metric_name": name, "metric_value": value, "timestamp": at_ms, "labels": labels}


async def taken(client: httpx.AsyncClient, *sent: dict[str, Any]) -> tuple[int, int, int]:
    """Accepted, duplicates and errors of one request."""
    response = await client.post("/api/v1/metrics", json=sent)
    assert response.status_code == 200, response.text
    answer = response.json()
    return answer["accepted"], answer["duplicates"], len(answer["errors"])


async def values_of(client: httpx.AsyncClient, name: str) -> list[float]:
    """All values of a metric, by time."""
    start = datetime.fromtimestamp(NOW_MS / 1000 - 3600, UTC).isoformat()
    params = {"selector": name, "startTime": start}
    headers = {"Accept": "application/x-ndjson"}
    answer = await client.get("/api/v1/samples", params=params, headers=headers)
    lines = [json.loads(line) for line in answer.text.splitlines()]
    return [v for line in lines for series in line.get("series", ()) for v in series["values"]]


async def test_the_same_sample_again_is_a_duplicate(to_ingest: httpx.AsyncClient) -> None:
    assert await taken(to_ingest, sample("again", 1)) == (1, 0, 0)
    assert await taken(to_ingest, sample("again", 1)) == (0, 1, 0)
    assert await taken(to_ingest, sample("again", 2)) == (0, 1, 0)
    assert await values_of(to_ingest, "again") == [1]


async def test_an_overlap_keeps_the_first_value(to_ingest: httpx.AsyncClient) -> None:
    await taken(to_ingest, sample("overlap", 1), sample("overlap", 2, ago_s=5))
    await taken(to_ingest, sample("overlap", 9, ago_s=5), sample("overlap", 3, ago_s=1))
    assert await values_of(to_ingest, "overlap") == [1, 2, 3]


async def test_bad_samples_do_not_hide_a_repeat(to_ingest: httpx.AsyncClient) -> None:
    sent = sample("beside", 1), sample("beside", 1, bad="x" * 5000), sample("beside", 2, ago_s=5)
    assert await taken(to_ingest, *sent) == (2, 0, 1)
    assert await taken(to_ingest, *sent) == (0, 2, 1)
