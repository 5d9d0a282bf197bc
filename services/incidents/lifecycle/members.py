"""Members that come and end: what an incident shows of them, and how its state follows."""

from collections.abc import Mapping, Sequence
from typing import Final

from services.incidents.lifecycle.events import draft, event
from services.incidents.lifecycle.times import Times
from services.incidents.model.change import Joined, Severity
from services.incidents.model.incident import (
    SENSUS,
    Event,
    EventKind,
    Incident,
    IncidentState,
    Member,
)

_SERVICES: Final = 50
_FLAPPING: Final = 3
_BACK: Final = {IncidentState.OPEN.value, IncidentState.ACKNOWLEDGED.value}
NAMES: Final = {1: "info", 2: "warning", 3: "critical"}


def begun(first: Joined, now_ms: int) -> Incident:
    """The incident that a first member makes, before it is in it."""
    return Incident(
        incident_id=first.incident_id,
        environment=first.change.environment,
        start_ms=first.change.start_ms,
        start_seen_ms=now_ms,
        traceparent=first.change.traceparent,
    )


def member_of(joined: Joined) -> Member:
    """The row of a member."""
    change = joined.change
    return Member(
        member_id=change.member_id,
        kind=change.kind,
        fingerprint=change.fingerprint,
        labels=dict(change.labels),
        severity=change.severity,
        start_ms=change.start_ms,
        reason=joined.reason,
        service=change.service,
    )


def members_changed(
    before: Incident,
    joined: Sequence[Member],
    again: Sequence[Member],
    ended: Mapping[str, int],
    now_ms: int,
    times: Times,
) -> list[Event]:
    """Members came, fire `again`, or ended, all at once.

    Returns: One event for them, whose kind says what became of the state, and those that follow.
    """
    after = draft(before)
    for member in joined:
        _add(after, member)
    after.firing_count = max(0, after.firing_count + len(joined) + len(again) - len(ended))
    worsened = _worsen(after, [*joined, *again])
    kind, notice, text = _state(before, after, now_ms, times, fires=bool(joined or again))
    if kind is EventKind.MEMBERS and worsened and after.state in _BACK:
        kind, text = EventKind.WORSENED, f"is now {NAMES[after.severity]}"
        notice = _is_news(after, now_ms, times)
    rows = [*joined, *again]
    text = text or _members_text(len(rows), len(ended))
    noted = event(
        before, after, kind, SENSUS, now_ms, text, notice=notice, joined=rows, ended=dict(ended)
    )
    events = [noted]
    if kind is EventKind.FLAPPED and worsened:
        events.append(_worsened(after, now_ms, times))
    is_new = after.state is IncidentState.GATHERING
    if is_new and (after.severity == Severity.CRITICAL or not times.gather_ms):
        events += opened(after, now_ms, times)
    return events


def opened(before: Incident, now_ms: int, times: Times) -> list[Event]:
    """It has gathered enough: this gives a notice, unless all of it is stale. What is over already
    settles at once.
    """
    after = draft(before)
    after.state, after.since_ms, after.open_ms = IncidentState.OPEN, now_ms, now_ms
    text, notice = f"opened: {after.title}", _is_news(after, now_ms, times)
    events = [event(before, after, EventKind.OPENED, SENSUS, now_ms, text, notice=notice)]
    if not after.firing_count:
        events += members_changed(after, [], [], {}, now_ms, times)
    return events


def _add(after: Incident, member: Member) -> None:
    is_first = not after.member_count
    after.member_count += 1
    shared = after.labels.items() & member.labels.items()
    after.labels = dict(member.labels) if is_first else dict(sorted(shared))
    if member.service and (member.service in after.services or len(after.services) < _SERVICES):
        after.services[member.service] = after.services.get(member.service, 0) + 1
    after.start_ms = min(after.start_ms or member.start_ms, member.start_ms)
    after.newest_ms = max(after.newest_ms, member.start_ms)
    after.title = after.title_set or title_of(after)


def title_of(incident: Incident) -> str:
    """One line: what the members have in common, and how many there are."""
    name = incident.labels.get("alertname") or incident.labels.get("__name__") or "several alerts"
    most = sorted(incident.services, key=lambda each: (-incident.services[each], each))
    where = ", ".join(most[:3]) + (f" and {len(most) - 3} more" if len(most) > 3 else "")
    many = f" ({incident.member_count})" if incident.member_count > 1 else ""
    return f"{name} at {where}{many}"[:300] if where else f"{name}{many}"[:300]


def _worsen(after: Incident, members: Sequence[Member]) -> bool:
    worst = max((each.severity for each in members), default=0)
    if after.severity_set or worst <= after.severity:
        return False
    after.severity = worst
    return True


def _is_news(incident: Incident, now_ms: int, times: Times) -> bool:
    """Whether it began lately: a log that is read late, or first, says much that is stale."""
    return now_ms - incident.newest_ms <= times.stale_ms


def _worsened(before: Incident, now_ms: int, times: Times) -> Event:
    after = draft(before)
    text = f"is now {NAMES[after.severity]}"
    notice = _is_news(after, now_ms, times)
    return event(before, after, EventKind.WORSENED, SENSUS, now_ms, text, notice=notice)


def _state(
    before: Incident, after: Incident, now_ms: int, times: Times, *, fires: bool
) -> tuple[EventKind, bool, str]:
    """Moves the state; kind, whether it gives a notice, and words for it."""
    state = before.state
    if state is IncidentState.RESOLVED and fires:
        return _again(after, now_ms, times)
    if state is IncidentState.SETTLING and after.firing_count:
        after.state, after.since_ms = IncidentState(after.settle_back), now_ms
        after.flap_count += 1
        return EventKind.FLAPPED, False, "fires again"
    if state.value in _BACK and not after.firing_count:
        after.settle_back, after.state, after.since_ms = state, IncidentState.SETTLING, now_ms
        return EventKind.SETTLING, False, "nothing fires any more"
    return EventKind.MEMBERS, False, ""


def _again(after: Incident, now_ms: int, times: Times) -> tuple[EventKind, bool, str]:
    after.state, after.since_ms, after.resolve_ms = IncidentState.OPEN, now_ms, 0
    after.resolved_by = after.resolve_reason = after.resolve_cause = after.owner = ""
    after.reopen_count += 1
    recent = [each for each in after.reopened_ms if now_ms - each < times.flap_window_ms]
    after.reopened_ms = [*recent, now_ms]
    after.flapping = len(after.reopened_ms) >= _FLAPPING
    notice = not after.flapping or now_ms - after.again_told_ms >= times.flap_notice_ms
    if notice:
        after.again_told_ms = now_ms
    return EventKind.REOPENED, notice, "flapping" if after.flapping else "fires again"


def _members_text(joined: int, ended: int) -> str:
    """`1 member joined`, `3 members joined, 2 ended`."""
    first = joined or ended
    members = f"{first} member{'s' * (first != 1)}"
    parts = [f"{members} joined"] * bool(joined)
    parts += [f"{ended if joined else members} ended"] * bool(ended)
    return ", ".join(parts)
