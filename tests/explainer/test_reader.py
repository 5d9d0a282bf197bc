"""What is read around an event, and how far back."""

from typing import Any

import numpy as np
import pytest

from services.explainer.clients.ingest import alert_facts
from services.explainer.evidence.sources import Reader, ReadLimits
from services.explainer.model.subjects import SeriesSamples
from tests.explainer.peers import EVENT_MS, alert

SECOND_MS = 1000
DAY_S = 24 * 3600


class Store:
    """A series with a sample each second of the last day."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    async def samples(
        self,
        selector: str,
        start_ms: int,
        end_ms: int,
        *,
        series_max: int,
        samples_max: int = 0,
        points_max: int = 0,
    ) -> list[SeriesSamples]:
        """As `IngestClient.samples`."""
        self.asked.append({"samples_max": samples_max, "points_max": points_max})
        times = np.arange(start_ms, end_ms, SECOND_MS)
        if points_max:
            times = times[:: -(-times.size // points_max)]
        times = times[-samples_max:] if samples_max else times
        values = np.arange(times.size, dtype=np.float64)
        return [SeriesSamples(series_id=1, labels={}, timestamps_ms=times, values=values)]


@pytest.mark.parametrize("samples_max", [6000, 100_000])
async def test_a_dense_series_is_read_back_a_whole_day_in_bounded_pieces(samples_max: int) -> None:
    store, reach = Store(), ReadLimits(own_samples_max=samples_max)
    reader = Reader(ingest=store, detector=None, reach=reach)  # type: ignore[arg-type]
    (found,) = await reader.own_samples("cpu", {}, alert_facts(alert()))
    steps_ms = np.diff(found.timestamps_ms)
    assert 0 <= found.timestamps_ms[0] - (EVENT_MS - DAY_S * SECOND_MS) < max(steps_ms)
    assert (steps_ms > 0).all()
    if samples_max < DAY_S:
        assert found.timestamps_ms.size <= samples_max + reach.own_points_max
        assert len(store.asked) == 2
    else:
        assert set(steps_ms) == {SECOND_MS}
        assert len(store.asked) == 1
