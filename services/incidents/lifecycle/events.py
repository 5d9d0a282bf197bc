"""From one state of an incident to the next, as an event; and back from the log."""

import copy
from typing import Any, Final

import msgspec

from services.incidents.model.incident import Event, EventKind, Incident, Member

_OF_THE_LOG: Final = frozenset({"update_ms", "event_no", "transition"})
_SHOWN: Final = 200


def draft(incident: Incident) -> Incident:
    """A copy to change."""
    return copy.deepcopy(incident)


def event(
    before: Incident,
    after: Incident,
    kind: EventKind,
    actor: str,
    at_ms: int,
    text: str,
    *,
    notice: bool = False,
    undoable: bool = False,
    related_ids: list[str] | None = None,
    joined: list[Member] | None = None,
    ended: dict[str, int] | None = None,
    left: list[str] | None = None,
    undoes: int = 0,
) -> Event:
    """What turns `before` into `after`; numbers `after` as the log will have it."""
    after.event_no = before.event_no + 1
    after.transition = before.transition + notice
    after.update_ms = at_ms
    old, new = msgspec.to_builtins(before), msgspec.to_builtins(after)
    sets = {name: value for name, value in new.items() if value != old[name]}
    undo = {name: old[name] for name in sets if name not in _OF_THE_LOG} if undoable else {}
    touched = [*(each.member_id for each in joined or []), *(ended or {}), *(left or [])]
    return Event(
        incident_id=after.incident_id,
        kind=kind,
        actor=actor,
        at_ms=at_ms,
        text=text,
        event_no=after.event_no,
        transition=after.transition if notice else 0,
        state=after.state,
        severity=after.severity,
        sets=sets,
        undo=undo,
        related_ids=related_ids or [],
        member_ids=touched[:_SHOWN],
        joined=joined or [],
        ended=ended or {},
        left=left or [],
        undoes=undoes,
    )


def born(new: Incident, first: Event) -> None:
    """Lets the first event of a log tell all of the incident, as it began."""
    blank = msgspec.to_builtins(Incident(incident_id=new.incident_id))
    known = msgspec.to_builtins(new)
    first.sets = {**{k: v for k, v in known.items() if v != blank[k]}, **first.sets}


def fold(before: Incident | None, event: Event) -> Incident:
    """The incident after an event of its log."""
    old = msgspec.to_builtins(before) if before else {"incident_id": event.incident_id}
    body: dict[str, Any] = {**old, **event.sets}
    body |= {"event_no": event.event_no, "update_ms": event.at_ms}
    return msgspec.convert(body, Incident)


def encoded(incident: Incident) -> bytes:
    """The same bytes for the same incident."""
    return msgspec.json.encode(incident, order="deterministic")
