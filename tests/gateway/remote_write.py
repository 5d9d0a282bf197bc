"""Bodies of remote write, sent through the gateway, and what of them is stored."""

import itertools
import json
import time
from datetime import UTC, datetime
from typing import Any

import cramjam
import httpx

from tests.ingest.harness import until
from tests.ingest.prometheus.messages import Request, WriteRequest

NOW_MS = int(time.time() * 1000)
V1 = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
V2 = V1 | {"Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request"}
WRITTEN = "X-Prometheus-Remote-Write-{}-Written"

NAMES = (f"written_{number}" for number in itertools.count())


def v1(*series: tuple[dict[str, str], list[tuple[int, float]]]) -> WriteRequest:
    """Series with samples, each so many milliseconds ago."""
    request = WriteRequest()
    for labels, samples in series:
        one = request.timeseries.add()
        for name, value in labels.items():
            one.labels.add(name=name, value=value)
        for ago_ms, value in samples:
            one.samples.add(timestamp=NOW_MS - ago_ms, value=value)
    return request


def v2(*series: tuple[dict[str, str], list[tuple[int, float]]]) -> Request:
    """The same as a message of 2.0."""
    request, symbols = Request(), [""]
    for labels, samples in series:
        one = request.timeseries.add()
        for text in itertools.chain(*labels.items()):
            if text not in symbols:
                symbols.append(text)
            one.labels_refs.append(symbols.index(text))
        for ago_ms, value in samples:
            one.samples.add(timestamp=NOW_MS - ago_ms, value=value)
    request.symbols.extend(symbols)
    return request


async def write(client: httpx.AsyncClient, request: Any, **headers: str) -> httpx.Response:
    """Sends a message."""
    kind = V2 if isinstance(request, Request) else V1
    body = bytes(cramjam.snappy.compress_raw(request.SerializeToString()))
    return await client.post("/api/v1/write", content=body, headers=kind | headers)


async def stored(client: httpx.AsyncClient, selector: str) -> list[tuple[dict[str, str], list]]:
    """Labels without the name, and times in the past with their values, of each series."""
    start = datetime.fromtimestamp(NOW_MS / 1000 - 3600, UTC).isoformat()
    params = {"selector": selector, "startTime": start}
    headers = {"Accept": "application/x-ndjson"}
    answer = await client.get("/api/v1/samples", params=params, headers=headers)
    assert answer.status_code == 200, answer.text
    found = []
    for line in answer.text.splitlines():
        for each in json.loads(line).get("series", ()):
            labels = {one["name"]: one["value"] for one in each["series"]["labels"]}
            times = [NOW_MS - int(at) for at in each["timestampsMs"]]
            found.append((labels, list(zip(times, each["values"], strict=True))))
    return found


async def until_described(
    client: httpx.AsyncClient, name: str, expected: tuple[str, str, str]
) -> None:
    """Waits until a metric has this type, unit and meaning: they are written after the answer."""

    async def is_described() -> bool:
        answer = await client.get("/api/v1/metadata", params={"metric": name})
        found = [(each["type"], each["unit"], each["help"]) for each in answer.json()["metadata"]]
        return found == [expected]

    await until(is_described)
