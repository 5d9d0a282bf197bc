"""Every error code of the contract, and what is said with it."""

import uuid
from typing import Any

import grpc
import pytest

from mesh.clients import open_channel
from mesh.errors import (
    AlreadyExists,
    InvalidInput,
    NotFound,
    PermissionDenied,
    SensusError,
    Unauthenticated,
    Unavailable,
    from_rpc_error,
)
from sensus.explainer.v1 import explainer_service_pb2 as pb
from sensus.explainer.v1 import explainer_service_pb2_grpc as pb_grpc
from services.explainer.wiring import FULL_NAME
from tests.explainer.conftest import Running, Start
from tests.explainer.peers import Detector, Ingest, alert


async def failure(call: Any) -> SensusError:
    """The error a call ends with."""
    try:
        if hasattr(call, "__aiter__"):
            async for _ in call:
                pass
        else:
            await call
    except grpc.aio.AioRpcError as error:
        return from_rpc_error(error)
    raise AssertionError("the call succeeded")


def ask(alert_id: str = "a1", **more: Any) -> pb.ExplainRequest:
    """A request to explain an alert."""
    return pb.ExplainRequest(subject=pb.Subject(alert_id=alert_id), **more)


@pytest.mark.parametrize(
    "subject",
    [
        pb.Subject(),
        pb.Subject(alert_id=""),
        pb.Subject(alert_id="a\0b"),
        pb.Subject(alert_id="x" * 513),
    ],
)
async def test_subject_is_required(explainer: Running, subject: pb.Subject) -> None:
    error = await failure(explainer.stub.Explain(pb.ExplainRequest(subject=subject)))
    assert isinstance(error, InvalidInput)
    assert error.reason == "SUBJECT_REQUIRED"
    assert error.message == (
        "subject must name an alert_id or an anomaly_id of at most 512 characters"
    )
    assert [v.field for v in error.violations] == ["subject"]


async def test_request_id_must_be_a_uuid(explainer: Running) -> None:
    error = await failure(explainer.stub.Explain(ask(request_id="mine")))
    assert isinstance(error, InvalidInput)
    assert (error.reason, error.message) == ("INVALID_REQUEST_ID", "request_id must be a UUID")


@pytest.mark.parametrize("sequence", [1, 2**64 - 1])
async def test_sequence_that_was_never_sent_cannot_be_resumed(
    explainer: Running, sequence: int
) -> None:
    error = await failure(explainer.stub.Explain(ask(resume_after_sequence=sequence)))
    assert isinstance(error, InvalidInput)
    assert error.reason == "INVALID_RESUME_SEQUENCE"
    assert error.message == (
        "resume_after_sequence must be a sequence that was received: the last one is 0"
    )
    listed = await explainer.stub.ListExplanations(pb.ListExplanationsRequest())
    assert not listed.explanations


async def test_finished_explanation_resumed_at_its_end_sends_nothing_more(
    explainer: Running,
) -> None:
    frames = await explainer.explain()
    assert await explainer.explain(resume_after_sequence=len(frames)) == []
    error = await failure(explainer.stub.Explain(ask(resume_after_sequence=len(frames) + 1)))
    assert error.reason == "INVALID_RESUME_SEQUENCE"


async def test_unknown_alert_is_not_found(explainer: Running) -> None:
    error = await failure(explainer.stub.Explain(ask("nobody")))
    assert isinstance(error, NotFound)
    assert (error.reason, error.message) == ("ALERT_NOT_FOUND", "no alert 'nobody': check the id")


async def test_id_that_ingest_refuses_is_not_found(explainer: Running, ingest: Ingest) -> None:
    ingest.faults.errors["GetAlert"] = InvalidInput("odd", reason="INVALID_ALERT_ID")
    error = await failure(explainer.stub.Explain(ask("odd")))
    assert error.reason == "ALERT_NOT_FOUND"


async def test_unknown_anomaly_is_not_found(explainer: Running) -> None:
    request = pb.ExplainRequest(subject=pb.Subject(anomaly_id="nobody"))
    error = await failure(explainer.stub.Explain(request))
    assert isinstance(error, NotFound)
    assert error.reason == "ANOMALY_NOT_FOUND"


async def test_request_id_of_another_subject_is_refused(explainer: Running, ingest: Ingest) -> None:
    request_id = str(uuid.uuid4())
    await explainer.explain(request_id=request_id)
    ingest.alerts["a2"] = alert("a2")
    error = await failure(explainer.stub.Explain(ask("a2", request_id=request_id)))
    assert isinstance(error, AlreadyExists)
    assert error.reason == "REQUEST_ID_REUSED"
    assert error.message == "request_id was used for another subject: make a new one"
    assert error.metadata == {"request_id": request_id}


async def test_ingest_away_is_unavailable_with_a_time_to_wait(
    explainer: Running, ingest: Ingest
) -> None:
    ingest.faults.errors["GetAlert"] = Unavailable("away", retry_after_s=3.0)
    error = await failure(explainer.stub.Explain(ask(), timeout=120))
    assert isinstance(error, Unavailable)
    assert error.retry_after_s == 3.0


async def test_more_jobs_than_allowed_are_refused_for_now(start: Start, ingest: Ingest) -> None:
    ingest.faults.delay_s["ListAlerts"] = 20.0
    ingest.alerts["a2"] = alert("a2")
    explainer = await start(jobs_max=1)
    call = explainer.stub.Explain(ask())
    await call.read()
    error = await failure(explainer.stub.Explain(ask("a2"), timeout=120))
    call.cancel()
    assert isinstance(error, Unavailable)
    assert error.reason == "TOO_MANY_JOBS"


async def test_database_away_is_unavailable(explainer: Running) -> None:
    await explainer.explainer.pool.close()
    for call in (
        explainer.stub.Explain(ask(), timeout=120),
        explainer.stub.GetExplanation(
            pb.GetExplanationRequest(explanation_id=str(uuid.uuid4())), timeout=10
        ),
        explainer.stub.ListExplanations(pb.ListExplanationsRequest(), timeout=120),
    ):
        error = await failure(call)
        assert isinstance(error, Unavailable)
        assert error.reason == "DATABASE_UNAVAILABLE"
        assert error.retry_after_s


async def test_unknown_explanation_is_not_found(explainer: Running) -> None:
    unknown = str(uuid.uuid4())
    request = pb.GetExplanationRequest(explanation_id=unknown)
    error = await failure(explainer.stub.GetExplanation(request))
    assert isinstance(error, NotFound)
    assert error.reason == "EXPLANATION_NOT_FOUND"
    assert error.id == unknown


@pytest.mark.parametrize("explanation_id", ["", "E1", "x" * 1000])
async def test_explanation_id_must_be_a_uuid(explainer: Running, explanation_id: str) -> None:
    request = pb.GetExplanationRequest(explanation_id=explanation_id)
    error = await failure(explainer.stub.GetExplanation(request))
    assert isinstance(error, InvalidInput)
    assert error.reason == "INVALID_EXPLANATION_ID"


async def test_reading_needs_another_scope_than_explaining(start: Start) -> None:
    reader = await start(scopes=("read:analysis",))
    error = await failure(reader.stub.Explain(ask()))
    assert isinstance(error, PermissionDenied)
    assert error.metadata == {"any_of": "write:analysis"}
    await reader.stub.ListExplanations(pb.ListExplanationsRequest())
    writer = await start(scopes=("write:analysis",))
    error = await failure(writer.stub.ListExplanations(pb.ListExplanationsRequest()))
    assert isinstance(error, PermissionDenied)


async def test_caller_without_a_token_is_unauthenticated(explainer: Running) -> None:
    async with open_channel(
        explainer.target, service=FULL_NAME, tokens=None, caller="test"
    ) as channel:
        stub = pb_grpc.ExplainerServiceStub(channel)
        error = await failure(stub.Explain(ask()))
    assert isinstance(error, Unauthenticated)
    assert error.reason == "TOKEN_MISSING"


async def test_detector_away_leaves_alerts_explained(
    explainer: Running, detector: Detector
) -> None:
    detector.faults.errors["ListAnomalies"] = Unavailable("away", retry_after_s=None)
    assert (await explainer.result()).verdict == pb.VERDICT_EXPLAINED
