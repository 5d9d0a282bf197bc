"""Samples of twelve hosts, written in order, and what a consumer holds of them."""

import time

from tests.ingest.consumers import Consumer
from tests.ingest.harness import Running, batch_request

NOW = int(time.time() * 1000)
HOSTS = 12


async def write(service: Running, sequence: int, *, ahead_ms: int = 0) -> None:
    """One sample of each host; its value is the sequence, so that order can be seen."""
    time_ms = NOW - 60_000 + sequence + ahead_ms
    rows = [(host, time_ms, float(sequence)) for host in range(HOSTS)]
    await service.stub.WriteBatch(batch_request("p", sequence, rows))


def values(consumer: Consumer) -> dict[str, list[float]]:
    """Values by host, in the order in which they came."""
    return {
        consumer.hosts[series_id]: [value for _, value in rows]
        for series_id, rows in consumer.rows.items()
    }


async def forever(consumer: Consumer) -> None:
    """Steps until it is cancelled."""
    while True:
        await consumer.step()
