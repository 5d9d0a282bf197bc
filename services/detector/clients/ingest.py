"""Asks ingest for stored series: to measure models on, and to show where one was expected."""

import heapq
import zlib
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from mesh.clients import closing
from mesh.clock import Clock
from mesh.errors import Overloaded, translated
from mesh.selector import METRIC_NAME, written
from sensus.core.v1 import series_pb2
from sensus.ingest.v1 import ingest_service_pb2 as pb
from services.detector.detectors.evaluation import SAMPLES, SAMPLES_MIN, SERIES, Track
from services.detector.model.samples import Labels

if TYPE_CHECKING:
    from sensus.ingest.v1 import ingest_service_pb2_grpc as pb_grpc

DAYS: Final = 14
"""How far back; the newest `SAMPLES` of a series are taken."""
PAGE: Final = 1000
PAGES_MAX: Final = 200
"""Series looked at, a page a call, however many are stored."""
CANDIDATES: Final = 4 * SERIES
"""Some have ended or are too young."""
SIBLINGS_MAX: Final = 20
"""Series that have the labels of one, and more labels beside."""
ANSWER_S: Final = 10.0
"""For each question: whoever measures holds the lead."""
_DAY_MS: Final = 86_400_000


class IngestClient:
    """Reads from ingest the recent past of some series, the same as long as the same are stored."""

    def __init__(self, stub: "pb_grpc.IngestServiceAsyncStub", clock: Clock) -> None:
        """Uses `stub` for every call."""
        self._stub = stub
        self._clock = clock

    async def tracks(self) -> list[Track]:
        """At most `SERIES` tracks of `SAMPLES_MIN` to `SAMPLES` samples, from all over the store.

        Raises:
            SensusError: Ingest cannot be asked.
        """
        found: list[Track] = []
        for series in await self._candidates():
            track = await self._track(series)
            if len(track.values) >= SAMPLES_MIN:
                found.append(track)
            if len(found) == SERIES:
                break
        return found

    async def _candidates(self) -> list[series_pb2.Series]:
        chosen: list[series_pb2.Series] = []
        async for page in self._pages():
            chosen = heapq.nsmallest(CANDIDATES, [*chosen, *page], key=_lot)
        return chosen

    async def _pages(self) -> AsyncIterator[Sequence[series_pb2.Series]]:
        token = ""
        for _ in range(PAGES_MAX):
            request = pb.ListSeriesRequest(page_size=PAGE, page_token=token)
            with translated():
                page = await self._stub.ListSeries(request, timeout=ANSWER_S)
            yield page.series
            token = page.next_page_token
            if not token:
                return

    async def track_of(
        self, series_id: int, labels: Labels, start_ms: int, end_ms: int, samples_max: int
    ) -> Track:
        """The newest samples of a series from `start_ms` to before `end_ms`, finite ones alone.

        Raises:
            SensusError: Ingest cannot be asked, or more than `SIBLINGS_MAX` series have its labels.
        """
        request = pb.QuerySamplesRequest(
            selector=written(labels.get(METRIC_NAME, ""), labels),
            max_series=SIBLINGS_MAX,
            max_samples_per_series=samples_max,
        )
        request.start_time.FromMilliseconds(start_ms)
        request.end_time.FromMilliseconds(end_ms)
        times = [np.zeros(0, np.int64)]
        values = [np.zeros(0, np.float64)]
        with translated():
            async with closing(self._stub.QuerySamples(request, timeout=ANSWER_S)) as call:
                async for answer in call:
                    for part in answer.series:
                        if part.series.series_id == series_id:
                            times.append(np.array(part.timestamps_ms, np.int64))
                            values.append(np.array(part.values, np.float64))
        known = np.isfinite(found := np.concatenate(values))
        return Track(np.concatenate(times)[known], found[known])

    async def _track(self, series: series_pb2.Series) -> Track:
        now_ms = self._clock.now_ms()
        labels = {label.name: label.value for label in series.labels}
        start_ms = now_ms - DAYS * _DAY_MS
        try:
            return await self.track_of(series.series_id, labels, start_ms, now_ms, SAMPLES)
        except Overloaded:  # too many siblings
            return Track(np.zeros(0, np.int64), np.zeros(0))


def _lot(series: series_pb2.Series) -> int:
    """A number of chance that stays the same."""
    return zlib.crc32(series.series_id.to_bytes(8, "little", signed=True))
