"""Requests about incidents."""

from collections.abc import Callable
from dataclasses import dataclass

from sensus.incidents.v1 import incidents_service_pb2 as pb
from services.incidents.convert.common import (
    heartbeat_s,
    invalid,
    selector,
    severity,
    text,
    time_ms,
)
from services.incidents.lifecycle.labels import routing_labels
from services.incidents.model.incident import IncidentState
from services.incidents.store.incidents import IncidentFilter
from services.incidents.store.log import LoggedEvent

_YEAR_MS = 366 * 86_400_000
_FIELDS = frozenset({"title", "owner", "severity"})
_STATES = range(1, 6)
_NOBODY = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchQuery:
    """What a watcher wants; `after` is None for what comes from now on."""

    after: int | None
    wants: Callable[[LoggedEvent], bool]
    heartbeat_s: float
    with_labels: bool


def watch_query(request: pb.WatchIncidentsRequest) -> WatchQuery:
    """What is watched.

    Raises:
        InvalidInput: INVALID_SELECTOR, INVALID_SEVERITY or INVALID_HEARTBEAT.
    """
    wanted, least = selector(request.selector), severity(request.min_severity)

    def wants(entry: LoggedEvent) -> bool:
        """What only gathers is not shown yet."""
        incident = entry.incident
        if entry.event.state == IncidentState.GATHERING or incident.severity < least:
            return False
        if request.incident_id and request.incident_id != incident.incident_id:
            return False
        return wanted.matches({**incident.labels, **routing_labels(incident)})

    return WatchQuery(
        after=request.after_cursor if request.HasField("after_cursor") else None,
        wants=wants,
        heartbeat_s=heartbeat_s(request),
        with_labels=request.include_member_labels,
    )


def incident_filter(request: pb.ListIncidentsRequest) -> IncidentFilter:
    """Which incidents are asked for.

    Raises:
        InvalidInput: INVALID_SELECTOR, INVALID_STATE, INVALID_SEVERITY, INVALID_OWNER,
            INVALID_QUERY or INVALID_TIME_RANGE.
    """
    if any(each not in _STATES for each in request.states):
        raise invalid("states", "use states of the contract", "INVALID_STATE")
    reason = "INVALID_TIME_RANGE"
    start = time_ms("start_time", request.start_time, reason)
    end = time_ms("end_time", request.end_time, reason)
    if end and end < start:
        raise invalid("end_time", "must not be before start_time", reason)
    return IncidentFilter(
        selector=selector(request.selector),
        states=tuple(request.states) or (1, 2, 3, 4),
        min_severity=severity(request.min_severity),
        owner=""
        if request.owner == _NOBODY
        else text("owner", request.owner, 200, "INVALID_OWNER"),
        unowned=request.owner == _NOBODY,
        words=tuple(text("query", request.query, 200, "INVALID_QUERY").lower().split()),
        start_ms=start,
        end_ms=end,
        idle_since_ms=time_ms("owner_idle_since", request.owner_idle_since, reason),
    )


def _owner(asked: str) -> str:
    return "" if asked == _NOBODY else text("owner", asked, 200, "INVALID_OWNER")


def updated(request: pb.UpdateIncidentRequest) -> dict[str, object]:
    """The fields to change.

    Raises:
        InvalidInput: INVALID_UPDATE_MASK, INVALID_TITLE, INVALID_OWNER or INVALID_SEVERITY.
    """
    paths = set(request.update_mask.paths)
    if not paths or paths - _FIELDS:
        raise invalid("update_mask", "name some of title, owner, severity", "INVALID_UPDATE_MASK")
    to: dict[str, object] = {}
    if "title" in paths:
        to["title"] = text("title", request.title, 300, "INVALID_TITLE")
    if "owner" in paths:
        to["owner"] = text("owner", request.owner, 200, "INVALID_OWNER")
    if "severity" in paths:
        to["severity"] = severity(request.severity, "severity")
    return to


def muted_until(request: pb.MuteRequest, now_ms: int) -> int:
    """Until when; 0 for until it is resolved.

    Raises:
        InvalidInput: INVALID_MUTE.
    """
    if request.WhichOneof("until") == "until_resolved" and request.until_resolved:
        return 0
    if request.WhichOneof("until") != "end_time":
        raise invalid("until", "set end_time, or until_resolved to true", "INVALID_MUTE")
    end = time_ms("end_time", request.end_time, "INVALID_MUTE")
    if not now_ms < end <= now_ms + _YEAR_MS:
        raise invalid("end_time", "must be ahead, at most 366 days", "INVALID_MUTE")
    return end
