"""Stored series scored again, by any version of the model."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import grpc
import numpy as np
import numpy.typing as npt

from mesh.clients import closing
from mesh.errors import translated
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from sensus.detector.v1.detector_service_pb2_grpc import DetectorServiceStub
from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb
from sensus.ingest.v1.ingest_service_pb2_grpc import IngestServiceStub

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

BATCH_SAMPLES = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSeries:
    """One series as ingest keeps it; columns of equal length."""

    series_id: int
    labels: str
    times_ms: I64
    values: F64


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedScores:
    """Scores of one series, and where each sample was expected.

    NaN where a sample was not scored; its alert score is 0.
    """

    raw: F64
    alert: F64
    expected_low: F64
    expected_high: F64


async def stored_series(
    channel: grpc.aio.Channel, selector: str, start: datetime, end: datetime
) -> list[StoredSeries]:
    """All series that the selector matches, with their samples from `start` to before `end`.

    Raises:
        SensusError: What ingest said.
    """
    request = ingest_pb.QuerySamplesRequest(selector=selector)
    request.start_time.FromDatetime(start)
    request.end_time.FromDatetime(end)
    parts: dict[int, list[ingest_pb.SeriesSamples]] = {}
    with translated():
        async with closing(IngestServiceStub(channel).QuerySamples(request)) as call:
            async for answer in call:
                for part in answer.series:
                    parts.setdefault(part.series.series_id, []).append(part)
    return [_whole(each) for each in parts.values()]


async def rescored(
    channel: grpc.aio.Channel, series: StoredSeries, version: int, alerts_per_week: float | None
) -> ReplayedScores:
    """The series from its first sample through `version`; 0 is the active one.

    Raises:
        SensusError: What the detector said.
    """
    answers: list[detector_pb.ScoreResult] = []
    frames = _frames(series, version, alerts_per_week)
    with translated():
        async with closing(DetectorServiceStub(channel).Score(frames)) as call:
            answers.extend([each.result async for each in call if each.HasField("result")])
    return ReplayedScores(
        raw=_column([each.raw_scores for each in answers]),
        alert=_column([each.alert_scores for each in answers]),
        expected_low=_column([each.expected_low for each in answers]),
        expected_high=_column([each.expected_high for each in answers]),
    )


async def _frames(
    series: StoredSeries, version: int, alerts_per_week: float | None
) -> AsyncIterator[detector_pb.ScoreRequest]:
    terms = detector_pb.ScoreOpen(model_version=version, alerts_per_week=alerts_per_week)
    yield detector_pb.ScoreRequest(open=terms)
    for start in range(0, len(series.values), BATCH_SAMPLES):
        part = slice(start, start + BATCH_SAMPLES)
        values = series.values[part]
        batch = detector_pb.ScoreBatch(
            series_refs=bytes(4 * len(values)),
            timestamps_ms=series.times_ms[part].astype("<i8").tobytes(),
            values=values.astype("<f8").tobytes(),
        )
        yield detector_pb.ScoreRequest(batch=batch)


def _whole(parts: Sequence[ingest_pb.SeriesSamples]) -> StoredSeries:
    series = parts[0].series
    labels = ",".join(f'{each.name}="{each.value}"' for each in series.labels)
    return StoredSeries(
        series_id=series.series_id,
        labels="{" + labels + "}",
        times_ms=np.concatenate([np.array(part.timestamps_ms, np.int64) for part in parts]),
        values=np.concatenate([np.array(part.values, np.float64) for part in parts]),
    )


def _column(parts: Sequence[bytes]) -> F64:
    return np.frombuffer(b"".join(parts), dtype="<f8")
