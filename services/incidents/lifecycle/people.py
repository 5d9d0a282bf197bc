"""What people do to one incident. Each gives the event, or says why it cannot be done."""

from services.incidents.lifecycle.events import draft, event
from services.incidents.lifecycle.members import NAMES, title_of
from services.incidents.model.incident import Event, EventKind, Incident, IncidentState


class Refused(Exception):  # noqa: N818 - it says what happened
    """It cannot be done now."""

    def __init__(self, reason: str, message: str) -> None:
        """`reason` is for programs, `message` says what to do instead."""
        super().__init__(message)
        self.reason = reason


def acknowledge(before: Incident, actor: str, now_ms: int) -> Event:
    """A person takes it. Gives a notice, unless it is theirs already."""
    _check_not_over(before)
    after = draft(before)
    after.owner, after.owner_seen_ms, after.acknowledge_ms = actor, now_ms, now_ms
    if before.state is IncidentState.SETTLING:
        after.settle_back = IncidentState.ACKNOWLEDGED
    else:
        after.state, after.since_ms = IncidentState.ACKNOWLEDGED, now_ms
    is_new = before.owner != actor or before.state is IncidentState.OPEN
    text = f"{actor} is on it"
    return event(
        before, after, EventKind.ACKNOWLEDGED, actor, now_ms, text, notice=is_new, undoable=True
    )


def resolve(before: Incident, actor: str, now_ms: int, reason: str, cause: str) -> Event:
    """A person says that it is over; what fires stays bound to it."""
    _check_not_over(before)
    after = draft(before)
    after.state, after.since_ms, after.resolve_ms = IncidentState.RESOLVED, now_ms, now_ms
    after.resolved_by, after.resolve_reason, after.resolve_cause = actor, reason, cause
    after.mute_until_ms, after.mute_until_resolved = 0, False
    text = f"resolved by {actor}" + (f": {reason}" if reason else "")
    notice = before.was_told
    return event(
        before, after, EventKind.RESOLVED, actor, now_ms, text, notice=notice, undoable=True
    )


def reopen(before: Incident, actor: str, now_ms: int) -> Event:
    """A person says that it is not over."""
    if before.state is not IncidentState.RESOLVED:
        raise Refused("INCIDENT_NOT_RESOLVED", "it is not resolved: there is nothing to reopen")
    after = draft(before)
    after.state, after.since_ms, after.resolve_ms = IncidentState.OPEN, now_ms, 0
    after.resolved_by = after.resolve_reason = after.resolve_cause = ""
    after.owner_seen_ms = now_ms
    text = f"reopened by {actor}"
    return event(before, after, EventKind.REOPENED, actor, now_ms, text, notice=True, undoable=True)


def mute(before: Incident, actor: str, now_ms: int, until_ms: int, reason: str) -> Event:
    """Holds notices back until a time, or for 0 until it is resolved."""
    _check_not_over(before)
    after = draft(before)
    after.mute_until_ms, after.mute_until_resolved = until_ms, not until_ms
    after.mute_actor, after.mute_reason = actor, reason
    _seen(after, actor, now_ms)
    text = f"muted by {actor}" + (f": {reason}" if reason else "")
    return event(before, after, EventKind.MUTED, actor, now_ms, text, undoable=True)


def unmute(before: Incident, actor: str, now_ms: int) -> Event | None:
    """Ends a mute; nothing where there is none."""
    if not before.is_muted:
        return None
    after = draft(before)
    after.mute_until_ms, after.mute_until_resolved = 0, False
    after.mute_actor = after.mute_reason = ""
    _seen(after, actor, now_ms)
    text = f"unmuted by {actor}"
    return event(before, after, EventKind.UNMUTED, actor, now_ms, text, undoable=True)


def note(before: Incident, actor: str, now_ms: int, text: str) -> Event:
    """A text for the timeline."""
    after = draft(before)
    _seen(after, actor, now_ms)
    return event(before, after, EventKind.NOTE, actor, now_ms, text)


def saved_postmortem(before: Incident, actor: str, now_ms: int) -> Event:
    """A person wrote what is to be learnt."""
    after = draft(before)
    _seen(after, actor, now_ms)
    text = f"postmortem saved by {actor}"
    return event(before, after, EventKind.POSTMORTEM, actor, now_ms, text)


def update(
    before: Incident,
    actor: str,
    now_ms: int,
    *,
    title: str | None = None,
    owner: str | None = None,
    severity: int | None = None,
) -> Event:
    """Changes what is given; a raised severity gives a notice."""
    after = draft(before)
    if title is not None:
        after.title_set = title
        after.title = title or title_of(after)
    if owner is not None:
        after.owner, after.owner_seen_ms = owner, now_ms
    if severity is not None:
        after.severity_set = severity
        after.severity = severity or after.severity
    _seen(after, actor, now_ms)
    is_worse = after.severity > before.severity and not before.is_over
    kind = EventKind.WORSENED if is_worse else EventKind.UPDATED
    text = f"is now {NAMES[after.severity]}" if is_worse else f"changed by {actor}"
    return event(before, after, kind, actor, now_ms, text, notice=is_worse, undoable=True)


def undo(before: Incident, done: Event, actor: str, now_ms: int) -> Event:
    """Takes a change back whose fields nobody has changed since."""
    after = draft(before)
    for name, value in done.sets.items():
        if name in done.undo and getattr(after, name) != value:
            message = f"{name} was changed again since: take that back first"
            raise Refused("CANNOT_UNDO", message)
    for name, value in done.undo.items():
        setattr(after, name, IncidentState(value) if name == "state" else value)
    text = f"{actor} took back: {done.text}"
    return event(before, after, EventKind.UNDONE, actor, now_ms, text, undoes=done.event_id)


def _check_not_over(before: Incident) -> None:
    if before.is_over:
        raise Refused("INCIDENT_RESOLVED", "it is over: reopen it first")


def _seen(after: Incident, actor: str, now_ms: int) -> None:
    if after.owner == actor:
        after.owner_seen_ms = now_ms
