"""A page of the anomalies that match what the store cannot tell."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from services.detector.model.anomalies import Anomaly
from services.detector.store import AnomalyFilter, AnomalyStore, ListPlace

READ_MAX: Final = 20_000
"""Anomalies looked at for one page; a page may be short, even empty, and not be the last."""

_CHUNK: Final = 1000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


async def list_anomalies(
    store: AnomalyStore,
    wanted: AnomalyFilter,
    matches: Callable[[Anomaly], bool],
    before: ListPlace,
    size: int,
) -> tuple[list[Anomaly], ListPlace | None]:
    """At most `size` anomalies older than `before`; the place to go on from, None at the end."""
    found: list[Anomaly] = []
    place, chunk_size, read = before, size + 1, 0
    while read < READ_MAX:
        chunk = await store.list(wanted, place, chunk_size)
        for anomaly in chunk:
            if matches(anomaly):
                if len(found) == size:
                    return found, place
                found.append(anomaly)
            place = _place_of(anomaly)
        if len(chunk) < chunk_size:
            return found, None
        read, chunk_size = read + len(chunk), _CHUNK
    return found, place


def _place_of(anomaly: Anomaly) -> ListPlace:
    event_time = _EPOCH + timedelta(milliseconds=anomaly.finding.event_ms)
    return ListPlace(event_time=event_time, cursor=anomaly.cursor)
