"""What happens because time passes."""

from services.incidents.lifecycle.events import draft, event, fold
from services.incidents.lifecycle.members import opened
from services.incidents.lifecycle.times import Times
from services.incidents.model.incident import SENSUS, Event, EventKind, Incident, IncidentState


def due_ms(incident: Incident, times: Times) -> int | None:
    """When to look at an incident next; None for never."""
    by_state = {
        IncidentState.GATHERING: incident.start_seen_ms + times.gather_ms,
        IncidentState.SETTLING: incident.since_ms + times.settle_ms,
        IncidentState.ACKNOWLEDGED: incident.owner_seen_ms + times.ack_timeout_ms,
    }
    found = [by_state[incident.state]] if incident.state in by_state else []
    if incident.mute_until_ms and not incident.is_over:
        found.append(incident.mute_until_ms)
    return min(found, default=None)


def due(before: Incident, now_ms: int, times: Times) -> list[Event]:
    """What is due by now."""
    events: list[Event] = []
    current = before
    if before.mute_until_ms and before.mute_until_ms <= now_ms:
        events.append(_unmuted(current, now_ms))
        current = fold(current, events[-1])
    state = current.state
    if state is IncidentState.GATHERING and _is_over(
        current.start_seen_ms, times.gather_ms, now_ms
    ):
        events += opened(current, now_ms, times)
    elif state is IncidentState.SETTLING and _is_over(current.since_ms, times.settle_ms, now_ms):
        events.append(_resolved(current, now_ms))
    elif state is IncidentState.ACKNOWLEDGED and _is_over(
        current.owner_seen_ms, times.ack_timeout_ms, now_ms
    ):
        events.append(_unattended(current, now_ms))
    return events


def _is_over(since_ms: int, length_ms: int, now_ms: int) -> bool:
    """Whether a time has passed; one that begins in the future was measured by a wrong clock."""
    return not since_ms <= now_ms < since_ms + length_ms


def _unmuted(before: Incident, now_ms: int) -> Event:
    after = draft(before)
    after.mute_until_ms, after.mute_until_resolved = 0, False
    after.mute_actor = after.mute_reason = ""
    return event(before, after, EventKind.UNMUTED, SENSUS, now_ms, "the mute is over")


def _resolved(before: Incident, now_ms: int) -> Event:
    after = draft(before)
    after.state, after.since_ms, after.resolve_ms = IncidentState.RESOLVED, now_ms, now_ms
    after.resolved_by = SENSUS
    after.mute_until_ms, after.mute_until_resolved = 0, False
    text = "resolved: nothing fires any more"
    notice = before.was_told
    return event(before, after, EventKind.RESOLVED, SENSUS, now_ms, text, notice=notice)


def _unattended(before: Incident, now_ms: int) -> Event:
    after = draft(before)
    after.state, after.since_ms = IncidentState.OPEN, now_ms
    idle_min = max(now_ms - before.owner_seen_ms, 0) // 60_000
    text = f"nobody is on it: {before.owner} has done nothing for {idle_min} min"
    return event(before, after, EventKind.UNATTENDED, SENSUS, now_ms, text, notice=True)
