"""Score: the caller's own samples, any version, nothing stored."""

from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest

from mesh.errors import from_rpc_error
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from services.detector.detectors.engine import Engine
from services.detector.model.samples import Samples
from services.detector.store import ModelStore
from tests.detector.models import worse_model
from tests.detector.running import RunningDetector
from tests.detector.signals import SERIES, SETTINGS, forest, part, samples

if TYPE_CHECKING:
    from mesh.postgres import Pool

INVALID = grpc.StatusCode.INVALID_ARGUMENT


def opening(**terms: Any) -> detector_pb.ScoreRequest:
    return detector_pb.ScoreRequest(open=detector_pb.ScoreOpen(**terms))


def frame(chunk: Samples) -> detector_pb.ScoreRequest:
    return detector_pb.ScoreRequest(batch=detector_pb.ScoreBatch(
        series_refs=chunk.series_ids.astype("<u4").tobytes(),
        timestamps_ms=chunk.timestamps_ms.astype("<i8").tobytes(),
        values=chunk.values.astype("<f8").tobytes()))  # fmt: skip


async def scored(
    detector: RunningDetector, *frames: detector_pb.ScoreRequest
) -> list[detector_pb.ScoreResponse]:
    async with detector.client() as stub:
        return [each async for each in stub.Score(iter(frames), wait_for_ready=True)]


def column(answers: list[detector_pb.ScoreResponse], name: str) -> Any:
    return np.concatenate([np.frombuffer(getattr(each.result, name), "<f8") for each in answers])


async def test_scores_are_those_of_the_engine_however_the_samples_are_cut(
    detector: RunningDetector, active_model: int
) -> None:
    await detector.start([])
    whole = samples(0)
    cuts = [part(whole, 0, 100), part(whole, 100, 101), part(whole, 101, len(whole))]
    opened, *answers = await scored(detector, opening(), *map(frame, cuts))
    engine = Engine(forest=forest(), settings=SETTINGS)
    engine.add_series(SERIES)
    rows = whole.series_ids.astype(np.int32)
    expected = engine.process(rows, whole.timestamps_ms, whole.values)
    assert opened.opened.model_version == 1
    assert np.array_equal(column(answers, "raw_scores"), expected.raw, equal_nan=True)
    assert np.array_equal(column(answers, "alert_scores"), expected.alert)
    assert np.array_equal(column(answers, "expected_low"), expected.expected_low, equal_nan=True)
    assert (expected.alert > 0).any()
    assert await detector.anomalies() == []


async def test_any_version_scores(
    detector: RunningDetector, pool: "Pool", active_model: int
) -> None:
    await ModelStore(pool).add_shadow(worse_model(), 2)
    await detector.start([])
    one, two = [
        column((await scored(detector, opening(model_version=n), frame(samples(0))))[1:],
               "raw_scores") for n in (1, 2)
    ]  # fmt: skip
    assert not np.array_equal(one, two, equal_nan=True)


@pytest.mark.parametrize(
    ("frames", "code", "reason"),
    [
        ([], INVALID, "OPEN_EXPECTED"),
        ([frame(samples(0))], INVALID, "OPEN_EXPECTED"),
        ([opening(), opening()], INVALID, "BATCH_EXPECTED"),
        ([opening(alerts_per_week=0.0)], INVALID, "INVALID_ALERTS_PER_WEEK"),
        ([opening(model_version=9)], grpc.StatusCode.NOT_FOUND, "MODEL_VERSION_NOT_FOUND"),
        ([opening(), frame(samples(9_999))], INVALID, "TOO_MANY_SERIES"),
        ([opening(), detector_pb.ScoreRequest(batch=detector_pb.ScoreBatch(values=b"12345678"))],
         INVALID, "INVALID_COLUMNS"),
    ],
)  # fmt: skip
async def test_frames_that_mean_nothing_are_refused(
    detector: RunningDetector, active_model: int, frames: Any, code: Any, reason: str
) -> None:
    await detector.start([])
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await scored(detector, *frames)
    assert (caught.value.code(), from_rpc_error(caught.value).reason) == (code, reason)


async def test_without_a_model_there_is_nothing_to_score_with(detector: RunningDetector) -> None:
    await detector.start([])
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await scored(detector, opening())
    assert from_rpc_error(caught.value).reason == "NO_ACTIVE_MODEL"
