"""What is stored as messages of the contract."""

from collections.abc import Sequence
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from sensus.core.v1 import series_pb2
from sensus.notifier.v1 import notice_pb2, notifier_service_pb2
from services.notifier.model.incident import Severity
from services.notifier.model.notices import Attempt, Kind, Notice, NoticeState
from services.notifier.routing.receivers import (
    Apprise,
    Email,
    Integration,
    PagerDuty,
    Receiver,
    ServiceNow,
    Slack,
    Webhook,
    channel_of,
)
from services.notifier.routing.references import is_reference
from services.notifier.routing.tree import Match
from services.notifier.store import IntegrationKey, Queue, StoredRouting, WayState
from services.notifier.texts.inert import inert
from services.notifier.texts.plain import plain
from services.notifier.texts.wording import NoticeText

_SEVERITY: Final = {
    Severity.INFO: series_pb2.SEVERITY_INFO,
    Severity.WARNING: series_pb2.SEVERITY_WARNING,
    Severity.CRITICAL: series_pb2.SEVERITY_CRITICAL,
}
_OPEN: Final = notifier_service_pb2.CIRCUIT_STATE_OPEN
_HALF_OPEN: Final = notifier_service_pb2.CIRCUIT_STATE_HALF_OPEN
_CLOSED: Final = notifier_service_pb2.CIRCUIT_STATE_CLOSED


def routing_message(stored: StoredRouting) -> notifier_service_pb2.Routing:
    """One version."""
    return notifier_service_pb2.Routing(
        version=stored.version,
        yaml=stored.yaml,
        etag=stored.etag,
        author=stored.author,
        create_time=_time(stored.create_ms),
    )


def notice_message(notice: Notice) -> notice_pb2.Notice:
    """One notice."""
    incident = notice.content.incident
    trace = incident.traceparent.split("-") if incident else []
    is_waiting = notice.state in (NoticeState.PENDING, NoticeState.SENDING)
    sent_after_ms = notice.sent_ms - notice.event_ms
    return notice_pb2.Notice(
        notice_id=str(notice.notice_id),
        incident_id=notice.incident_id,
        transition=notice.transition,
        kind=_kind(notice.kind),
        state=_state(notice.state),
        severity=_SEVERITY[notice.severity],
        receiver=notice.receiver,
        integration=notice.integration,
        title=notice.title,
        path=notice.path,
        held_by=notice.held_by,
        instead_of=notice.instead_of,
        event_time=_time(notice.event_ms),
        create_time=_time(notice.create_ms),
        sent_time=_time(notice.sent_ms),
        next_attempt_time=_time(notice.next_attempt_ms) if is_waiting else None,
        attempt_count=notice.attempt,
        latency=_duration(sent_after_ms / 1000) if notice.sent_ms else None,
        digest_notice_id=str(notice.digest_id or ""),
        resent_notice_id=str(notice.resent_of or ""),
        trace_id=trace[1] if len(trace) == 4 else "",
        attempts=[_attempt(each) for each in notice.attempts],
    )


def match_message(
    match: Match, receiver: Receiver | None, held_by: str, texts: Sequence[tuple[str, NoticeText]]
) -> notifier_service_pb2.RouteMatch:
    """One route that an incident takes."""
    route = match.route
    return notifier_service_pb2.RouteMatch(
        receiver=route.receiver,
        integrations=list(receiver.integrations) if receiver else [],
        path=match.path,
        held_by=held_by,
        escalation=[
            notifier_service_pb2.EscalationStep(
                after=_duration(step.after_s), receiver=step.receiver, unless=step.unless
            )
            for step in route.escalate
        ],
        group_wait=_duration(route.group_wait_s),
        repeat_interval=_duration(route.repeat_interval_s),
        previews=[
            notifier_service_pb2.NoticePreview(
                integration=integration,
                title=inert(notice_text.title),
                text=plain(notice_text),
            )
            for integration, notice_text in texts
        ],
    )


def receiver_message(
    receiver: Receiver, states: dict[IntegrationKey, WayState], queues: dict[IntegrationKey, Queue]
) -> notifier_service_pb2.Receiver:
    """One receiver with how its integrations are."""
    found = []
    for name, integration in receiver.integrations.items():
        way = IntegrationKey(receiver=receiver.name, integration=name)
        found.append(
            _integration(name, integration, states.get(way, WayState()), queues.get(way, Queue()))
        )
    return notifier_service_pb2.Receiver(receiver=receiver.name, integrations=found)


def target_of(integration: Integration) -> str:
    """Where it leads, without what may be secret.

    >>> target_of(Webhook(url="https://example.com/hook?key=1"))
    'example.com'
    """
    match integration:
        case Webhook() | PagerDuty() | ServiceNow():
            return integration.url if is_reference(integration.url) else _host(integration.url)
        case Email():
            return f"{integration.to} by {integration.smarthost}"
        case Slack():
            return integration.channel
        case Apprise():
            return integration.url
        case _:
            return ""


def _integration(
    name: str, integration: Integration, state: WayState, queue: Queue
) -> notifier_service_pb2.Integration:
    tripped = bool(state.open_until_ms)
    circuit = _OPEN if state.is_open else _HALF_OPEN if tripped else _CLOSED
    return notifier_service_pb2.Integration(
        integration=name,
        channel=channel_of(name),
        target=target_of(integration),
        circuit=circuit,
        failures=state.failures,
        retry_time=_time(state.open_until_ms),
        last_error=state.last_error,
        last_success_time=_time(state.last_success_ms),
        waiting=queue.waiting,
    )


def _attempt(attempt: Attempt) -> notice_pb2.Attempt:
    latency_ms = attempt.latency_ms
    return notice_pb2.Attempt(
        attempt=attempt.attempt,
        start_time=_time(attempt.start_ms),
        latency=None if latency_ms is None else _duration(latency_ms / 1000),
        status=attempt.status,
        error=attempt.error,
        answer=attempt.answer,
    )


def _kind(kind: Kind) -> notice_pb2.NoticeKind.ValueType:
    return notice_pb2.NoticeKind.Value(f"NOTICE_KIND_{kind.upper()}")


def _state(state: NoticeState) -> notice_pb2.NoticeState.ValueType:
    return notice_pb2.NoticeState.Value(f"NOTICE_STATE_{state.upper()}")


def _host(url: str) -> str:
    return url.partition("://")[2].partition("/")[0].partition("?")[0]


def _time(ms: int) -> Timestamp | None:
    if not ms:
        return None
    time = Timestamp()
    time.FromMilliseconds(ms)
    return time


def _duration(seconds: float) -> Duration:
    found = Duration()
    found.FromMilliseconds(round(1000 * seconds))
    return found


def routing_messages(found: Sequence[StoredRouting]) -> list[notifier_service_pb2.Routing]:
    """Several versions."""
    return [routing_message(each) for each in found]
