"""Changes, calls between services and feedback, from the wire to the domain."""

from collections.abc import Iterable

from google.protobuf.timestamp_pb2 import Timestamp

from sensus.explainer.v1 import explainer_service_pb2 as pb
from services.explainer.convert.requests import explanation_id_of, invalid
from services.explainer.model.case import Change
from services.explainer.store.feedback import Opinion

NAME_CHARS_MAX = 200
TEXT_CHARS_MAX = 4000
COMMENT_CHARS_MAX = 2000
DIFF_CHARS_MAX = 65_536
FILES_MAX = 200
FILE_CHARS_MAX = 500
CALLS_MAX = 20_000
AHEAD_MAX_MS = 5 * 60_000

CHANGE_KIND = {
    pb.CHANGE_KIND_DEPLOY: "deploy",
    pb.CHANGE_KIND_FLAG: "flag",
    pb.CHANGE_KIND_CONFIG: "config",
}
_VERDICT = {
    pb.FEEDBACK_VERDICT_RIGHT: "right",
    pb.FEEDBACK_VERDICT_PARTLY: "partly",
    pb.FEEDBACK_VERDICT_WRONG: "wrong",
}


def change_of(request: pb.WriteChangeRequest, now_ms: int) -> Change:
    """Raises: InvalidInput (INVALID_CHANGE)."""
    change, reason = request.change, "INVALID_CHANGE"
    if change.kind not in CHANGE_KIND:
        raise invalid("change.kind", "be deploy, flag or config", reason)
    if len(change.files) > FILES_MAX:
        raise invalid("change.files", f"name at most {FILES_MAX} paths", reason)
    at_ms = change.time.ToMilliseconds() if is_time(change.time) else -1
    at_ms = at_ms if change.HasField("time") else now_ms
    if not 0 <= at_ms <= now_ms + AHEAD_MAX_MS:
        raise invalid("change.time", "lie after 1970 and at most five minutes ahead", reason)
    return Change(
        evidence_id="",
        id=_text(change.change_id, "change.change_id", NAME_CHARS_MAX, reason, required=True),
        kind=CHANGE_KIND[change.kind],
        service=_text(change.service, "change.service", NAME_CHARS_MAX, reason, required=True),
        at_ms=at_ms,
        text=_text(change.text, "change.text", TEXT_CHARS_MAX, reason),
        files=tuple(_text(each, "change.files", FILE_CHARS_MAX, reason) for each in change.files),
        diff=_text(change.diff, "change.diff", DIFF_CHARS_MAX, reason),
    )


def encode_change(change: Change) -> pb.Change:
    """A change as it is kept."""
    at = Timestamp()
    at.FromMilliseconds(change.at_ms)
    kind = next(number for number, name in CHANGE_KIND.items() if name == change.kind)
    return pb.Change(
        change_id=change.id,
        kind=kind,
        service=change.service,
        time=at,
        text=change.text,
        files=change.files,
        diff=change.diff,
    )


def calls_of(request: pb.WriteTopologyRequest) -> tuple[str, frozenset[tuple[str, str]]]:
    """The source and its calls. Raises: InvalidInput (INVALID_TOPOLOGY)."""
    reason = "INVALID_TOPOLOGY"
    source = _text(request.source, "source", NAME_CHARS_MAX, reason, required=True)
    if len(request.calls) > CALLS_MAX:
        raise invalid("calls", f"be at most {CALLS_MAX}", reason)
    return source, frozenset(_calls(request.calls, reason))


def opinion_of(request: pb.SubmitFeedbackRequest, author: str) -> Opinion:
    """Raises: InvalidInput (INVALID_EXPLANATION_ID, INVALID_FEEDBACK)."""
    reason = "INVALID_FEEDBACK"
    explanation_id = explanation_id_of(request)
    if request.verdict not in _VERDICT:
        raise invalid("verdict", "be right, partly or wrong", reason)
    return Opinion(
        explanation_id=explanation_id,
        author=author,
        verdict=_VERDICT[request.verdict],
        root_cause=_text(request.root_cause, "root_cause", NAME_CHARS_MAX, reason),
        comment=_text(request.comment, "comment", COMMENT_CHARS_MAX, reason),
    )


def _calls(calls: Iterable[pb.CallEdge], reason: str) -> Iterable[tuple[str, str]]:
    for each in calls:
        caller = _text(each.caller, "calls.caller", NAME_CHARS_MAX, reason, required=True)
        callee = _text(each.callee, "calls.callee", NAME_CHARS_MAX, reason, required=True)
        if caller == callee:
            raise invalid("calls", "not name a service that calls itself", reason)
        yield caller, callee


def _text(text: str, field: str, chars_max: int, reason: str, *, required: bool = False) -> str:
    if len(text) > chars_max or "\0" in text:
        raise invalid(field, f"be at most {chars_max} characters without NUL", reason)
    if required and not text.strip():
        raise invalid(field, "be given", reason)
    return text


def is_time(stamp: Timestamp) -> bool:
    """Whether a timestamp is one, from 1970 to 9999."""
    return 0 <= stamp.seconds <= 253_402_300_799 and 0 <= stamp.nanos < 10**9
