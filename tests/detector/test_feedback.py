"""What people say of anomalies, and what it does to those that follow."""

from typing import TYPE_CHECKING, Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.errors import from_rpc_error
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from services.detector.detectors.engine import FEATURES
from services.detector.detectors.strictness import HIGHEST, Strictness, allowance, bar
from services.detector.feeds.strictness import strictness_of
from services.detector.model.feedback import Judgement
from services.detector.model.models import ActiveModel
from services.detector.store import VersionStore
from tests.detector.running import WRITER, RunningDetector, eventually
from tests.detector.scripted_ingest import ScriptedIngest
from tests.detector.signals import deliveries, forest, samples
from tests.detector.test_scoring import LABELS, scorer_of

if TYPE_CHECKING:
    from mesh.postgres import Pool

TRUE = detector_pb.ANOMALY_VERDICT_TRUE_ALARM
FALSE = detector_pb.ANOMALY_VERDICT_FALSE_ALARM

scores = st.floats(0.0, 1.0, exclude_max=True)


@given(false=st.lists(scores, max_size=5), true=st.lists(scores, min_size=1, max_size=5))
def test_alarm_judged_true_would_be_heard_again(false: list[float], true: list[float]) -> None:
    assert bar(false, true) <= min(true)
    assert 0.0 <= bar(false, []) <= HIGHEST


@given(score=st.floats(0.01, HIGHEST - 0.001))
def test_alarm_that_is_judged_false_again_and_again_is_silent_at_last(score: float) -> None:
    bars = [bar([score] * count, []) for count in range(1, 12)]
    assert bars == sorted(bars)
    assert bars[-1] == pytest.approx(score)


def test_only_series_with_false_alarms_are_stricter() -> None:
    said = [(1, 0.5, False), (1, 0.9, True), (2, 0.9, True)]
    judgements = [Judgement(series_id=i, alert_score=s, true_alarm=t) for i, s, t in said]
    asked = strictness_of(judgements)
    assert asked == {1: (pytest.approx(0.15 / 1.15), 1.5), 2: (0.0, 2.0)}


@pytest.mark.parametrize(("false", "true"), [(0, 9), (9, 9), (1, 3), (3, 1)])
def test_allowance_leaves_the_accepted_number_of_false_alarms(false: int, true: int) -> None:
    """Of as many alarms as are allowed, no more are false than the budget accepts."""
    budget = 4.0
    allowed = budget * allowance(false, true)
    assert allowed * false / (false + true) <= budget
    assert allowed <= 2 * budget
    assert allowance(false, 0) == 1.0


def test_weaker_alarms_of_a_stricter_series_stay_silent() -> None:
    scorer = scorer_of(ActiveModel(version=3, forest=forest()))
    found = scorer.score(samples(), 1, LABELS).findings
    again = scorer_of(ActiveModel(version=3, forest=forest()))
    height = sorted(each.alert_score for each in found if each.series_id == 1)[-1]
    again.use_strictness({1: Strictness(bar=height)})
    outcome = again.score(samples(), 1, LABELS)
    assert [each for each in outcome.findings if each.series_id == 1] == []
    assert outcome.silenced == sum(each.series_id == 1 for each in found)
    assert len(outcome.findings) + outcome.silenced == len(found)


async def test_feedback_is_kept_listed_and_learnt_from(
    detector: RunningDetector, pool: "Pool", ingest: ScriptedIngest, active_model: int
) -> None:
    """The last word counts; every replica follows it within seconds."""
    ingest.log_by_shard[0] = deliveries(0, samples(), 60)
    await detector.start()
    await ingest.until(lambda: 0 in ingest.acked_by_shard)
    await ingest.until_acked()
    found = next(each for each in await detector.anomalies() if each.series_id == 1)
    async with detector.client(WRITER) as stub:
        for verdict in (TRUE, FALSE):
            request = detector_pb.SubmitFeedbackRequest(
                anomaly_id=found.anomaly_id, verdict=verdict, comment="a drill"
            )
            await stub.SubmitFeedback(request)
        got = await stub.GetAnomaly(detector_pb.GetAnomalyRequest(anomaly_id=found.anomaly_id))
    feedback = got.anomaly.feedback
    assert (feedback.verdict, feedback.comment) == (FALSE, "a drill")
    assert feedback.subject == "user:test"
    await eventually(lambda: 1 in detector.parts.strictness.by_series())
    judged = await VersionStore(pool).judged()
    assert judged.true_alarms.shape == (0, len(FEATURES))
    assert judged.false_alarms.shape == (1, len(FEATURES))


@pytest.mark.parametrize(
    ("fields", "code", "reason"),
    [
        ({"anomaly_id": "none", "verdict": TRUE}, grpc.StatusCode.NOT_FOUND, "ANOMALY_NOT_FOUND"),
        ({"anomaly_id": "\x00", "verdict": TRUE}, grpc.StatusCode.NOT_FOUND, "ANOMALY_NOT_FOUND"),
        ({"anomaly_id": "none"}, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_VERDICT"),
        ({"verdict": TRUE, "comment": "x" * 2001}, grpc.StatusCode.INVALID_ARGUMENT,
         "INVALID_COMMENT"),
    ],
)  # fmt: skip
async def test_feedback_that_means_nothing_is_refused(
    detector: RunningDetector, fields: dict[str, Any], code: grpc.StatusCode, reason: str
) -> None:
    await detector.start([])
    async with detector.client(WRITER) as stub:
        request = detector_pb.SubmitFeedbackRequest(**fields)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.SubmitFeedback(request, wait_for_ready=True)
    assert (caught.value.code(), from_rpc_error(caught.value).reason) == (code, reason)


async def test_reader_may_not_judge(detector: RunningDetector) -> None:
    await detector.start([])
    async with detector.client() as stub:
        request = detector_pb.SubmitFeedbackRequest(anomaly_id="x", verdict=TRUE)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.SubmitFeedback(request, wait_for_ready=True)
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
