"""What is sent, and what was answered."""

import itertools
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import grpc
import httpx

from sensus.core.v1 import series_pb2
from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb2
from tests.product import Door, columns, webhook

SERIES: Final = 100
BATCH: Final = 1000
POST: Final = 20
SAMPLES_METRIC, POSTS_METRIC, ALERT = "load_batches", "load_posts", "LoadTest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One request: when it was sent (since the begin), how long it took, what it acknowledged."""

    kind: str
    sent_s: float
    took_s: float
    acknowledged: int
    error: str = ""


Sender = Callable[[], Awaitable[int]]


def senders(door: Door) -> dict[str, Sender]:
    """A sender for each kind of request; each gives how much the answer acknowledged."""
    numbers, base_ms = itertools.count(1), time.time_ns() // 1_000_000 - 3_600_000

    async def batch() -> int:
        number = next(numbers)
        stamps = [base_ms + number * BATCH // SERIES + index // SERIES for index in range(BATCH)]
        refs = [index % SERIES for index in range(BATCH)]
        definitions = [
            ingest_pb2.SeriesDefinition(
                ref=ref,
                labels=[
                    series_pb2.Label(name="__name__", value=SAMPLES_METRIC),
                    series_pb2.Label(name="n", value=str(ref)),
                ],
            )
            for ref in range(SERIES)
        ]
        request = ingest_pb2.WriteBatchRequest(
            producer_id=f"load-{number}",
            series=definitions,
            batch=ingest_pb2.SampleBatch(
                sequence=1, columns=columns(refs, stamps, [float(number)] * BATCH)
            ),
        )
        return int((await door.ingest.WriteBatch(request)).ack.accepted)

    async def post() -> int:
        number = next(numbers)
        body = [
            {
                "metric_name": POSTS_METRIC,
                "metric_value": float(number),
                "labels": {"request": str(number % SERIES)},
                "timestamp": (base_ms + number * POST + index) / 1000,
            }
            for index in range(POST)
        ]
        answer = await door.http.post("/api/v1/metrics", json=body)
        answer.raise_for_status()
        return POST

    async def alert() -> int:
        starts_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        body = webhook(ALERT, starts_at=starts_at, n=str(next(numbers)))
        (await door.http.post("/api/v1/alerts", json=body)).raise_for_status()
        return 1

    return {"batches": batch, "posts": post, "alerts": alert}


async def answered(kind: str, send: Sender, began_s: float) -> Answer:
    """Sends one request and notes what became of it; errors are answers too."""
    sent_s = time.perf_counter()
    acknowledged, error = 0, ""
    try:
        acknowledged = await send()
    except grpc.aio.AioRpcError as failure:
        error = failure.code().name
    except httpx.HTTPStatusError as failure:
        error = str(failure.response.status_code)
    except httpx.HTTPError as failure:
        error = type(failure).__name__
    return Answer(
        kind=kind,
        sent_s=sent_s - began_s,
        took_s=time.perf_counter() - sent_s,
        acknowledged=acknowledged,
        error=error,
    )
