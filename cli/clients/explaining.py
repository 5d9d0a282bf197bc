"""One explanation, frame by frame, across lost connections."""

import uuid
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager

import grpc

from mesh.clients import Backoff, closing, may_open_again
from mesh.errors import InvalidInput, NotFound, SensusError, translated
from sensus.explainer.v1 import explainer_service_pb2 as pb
from sensus.explainer.v1.explainer_service_pb2_grpc import ExplainerServiceStub

Frame = pb.ExplainResponse

_GIVE_UP_AFTER = 8


async def explain(
    channel: grpc.aio.Channel, subject_id: str, *, anew: bool = False
) -> AsyncGenerator[Frame]:
    """Frames up to the result, without keepalives. The id is of an alert or of an anomaly.

    Raises:
        NotFound: neither an alert nor an anomaly has this id.
    """
    try:
        async with aclosing(_frames(channel, pb.Subject(alert_id=subject_id), anew)) as frames:
            async for frame in frames:
                yield frame
        return
    except (NotFound, InvalidInput):
        other = pb.Subject(anomaly_id=subject_id)
    with none_of(subject_id):
        async with aclosing(_frames(channel, other, anew)) as frames:
            async for frame in frames:
                yield frame


async def _frames(
    channel: grpc.aio.Channel, subject: pb.Subject, anew: bool
) -> AsyncGenerator[Frame]:
    request = pb.ExplainRequest(subject=subject, request_id=str(uuid.uuid4()), anew=anew)
    waits, failures = Backoff(), 0
    while True:
        try:
            async with aclosing(_session(channel, request)) as frames:
                async for frame in frames:
                    request.resume_after_sequence, failures = frame.sequence, 0
                    yield frame
                    if frame.HasField("result"):
                        return
        except SensusError as error:
            failures += 1
            if not may_open_again(error) or failures > _GIVE_UP_AFTER:
                raise
        await waits.wait()


async def _session(channel: grpc.aio.Channel, request: pb.ExplainRequest) -> AsyncGenerator[Frame]:
    with translated():
        async with closing(ExplainerServiceStub(channel).Explain(request)) as call:
            async for frame in call:
                if frame.sequence:
                    yield frame


async def short_of(channel: grpc.aio.Channel, result: pb.Explanation) -> pb.Explanation:
    """Of a result what is read at night: the cause, at most three facts, what to do first."""
    request = pb.GetExplanationRequest(
        explanation_id=result.explanation_id, view=pb.EXPLANATION_VIEW_SHORT
    )
    with translated():
        return (await ExplainerServiceStub(channel).GetExplanation(request)).explanation


class NoSubject(NotFound):
    """Neither an alert nor an anomaly has this id."""

    def __init__(self, subject_id: str) -> None:
        """Says which ids there are."""
        super().__init__("subject", subject_id)
        self.message = (
            f"no alert and no anomaly has the id {subject_id!r}: give the id at the end of a line "
            "of `sensus tail`; explanations, groups and series have other ids"
        )
        self.args = (self.message,)


@contextmanager
def none_of(subject_id: str) -> Iterator[None]:
    """Inside, the last kind of subject is tried; raises `NoSubject` when it is unknown, too."""
    try:
        yield
    except NotFound as error:
        if error.reason not in ("ALERT_NOT_FOUND", "ANOMALY_NOT_FOUND"):
            raise
        raise NoSubject(subject_id) from None
