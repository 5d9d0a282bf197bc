"""Frames of the incidents service as changes."""

from collections.abc import Iterable, Sequence

from sensus.core.v1 import series_pb2
from sensus.incidents.v1 import incident_pb2, incidents_service_pb2
from services.notifier.decisions.plan import Change
from services.notifier.model.incident import (
    FOR_EVER,
    Cause,
    Incident,
    Severity,
    State,
    Suspect,
)
from services.notifier.model.incident import (
    Change as WhatChanged,
)
from services.notifier.model.notices import Event, Kind

SEVERITY = {
    series_pb2.SEVERITY_INFO: Severity.INFO,
    series_pb2.SEVERITY_WARNING: Severity.WARNING,
    series_pb2.SEVERITY_CRITICAL: Severity.CRITICAL,
}
_STATE = {
    incident_pb2.INCIDENT_STATE_OPEN: State.OPEN,
    incident_pb2.INCIDENT_STATE_ACKNOWLEDGED: State.ACKNOWLEDGED,
    incident_pb2.INCIDENT_STATE_SETTLING: State.SETTLING,
    incident_pb2.INCIDENT_STATE_RESOLVED: State.RESOLVED,
    incident_pb2.INCIDENT_STATE_MERGED: State.MERGED,
}
_KIND = {
    incident_pb2.EVENT_KIND_OPENED: Kind.OPENED,
    incident_pb2.EVENT_KIND_ACKNOWLEDGED: Kind.ACKNOWLEDGED,
    incident_pb2.EVENT_KIND_WORSENED: Kind.WORSENED,
    incident_pb2.EVENT_KIND_RESOLVED: Kind.RESOLVED,
    incident_pb2.EVENT_KIND_REOPENED: Kind.AGAIN,
    incident_pb2.EVENT_KIND_UNATTENDED: Kind.UNATTENDED,
    incident_pb2.EVENT_KIND_MERGED: Kind.MERGED,
}
_MEMBERS_KEPT = 50


def change_of(frame: incidents_service_pb2.WatchIncidentsResponse) -> Change:
    """One change; an event that gives no notice has no kind."""
    event, incident = frame.change.event, frame.change.incident
    kind = _KIND.get(event.kind) if event.transition else None
    if kind is Kind.AGAIN and incident.flapping:
        kind = Kind.FLAPPING
    return Change(
        cursor=frame.cursor,
        incident=incident_of(incident, event=event, members=frame.change.member_labels),
        event=Event(time_ms=event.time.ToMilliseconds(), actor=event.actor, text=event.text),
        kind=kind,
        transition=event.transition,
        event_no=event.event_no,
    )


def incident_of(
    incident: incident_pb2.Incident,
    *,
    event: incident_pb2.IncidentEvent,
    members: Sequence[incidents_service_pb2.LabelSet],
) -> Incident:
    """An incident with state and severity as of the event."""
    severity = SEVERITY.get(event.severity) or SEVERITY.get(incident.severity, Severity.INFO)
    labels = _labels(incident.labels)
    labels["severity"] = str(severity)
    return Incident(
        incident_id=incident.incident_id,
        state=_STATE.get(event.state) or _STATE.get(incident.state, State.OPEN),
        severity=severity,
        title=incident.title,
        labels=labels,
        environment=incident.environment,
        services=tuple(incident.services),
        owner=incident.owner,
        muted_until_ms=_muted_until_ms(incident),
        silenced=bool(incident.silence_ids),
        member_count=incident.member_count,
        firing_count=incident.firing_count,
        start_ms=incident.start_time.ToMilliseconds(),
        open_ms=incident.open_time.ToMilliseconds(),
        resolve_ms=incident.resolve_time.ToMilliseconds(),
        transition=incident.transition,
        reopen_count=incident.reopen_count,
        merged_into=incident.merged_into,
        cause=_cause(incident.cause) if incident.HasField("cause") else None,
        changes=tuple(
            WhatChanged(title=each.title, time_ms=each.time.ToMilliseconds())
            for each in incident.changes
        ),
        slo_minutes=incident.slo_minutes if incident.HasField("slo_minutes") else None,
        resolve_reason=incident.resolve_reason,
        traceparent=incident.traceparent,
        member_labels=tuple(_labels(each.labels) for each in members[:_MEMBERS_KEPT]),
        members_left_out=max(0, incident.member_count - _MEMBERS_KEPT)
        if len(members) > _MEMBERS_KEPT
        else 0,
    )


def _muted_until_ms(incident: incident_pb2.Incident) -> int:
    if not incident.HasField("mute"):
        return 0
    if incident.mute.WhichOneof("until") == "end_time":
        return incident.mute.end_time.ToMilliseconds()
    return FOR_EVER


def _cause(cause: incident_pb2.Cause) -> Cause:
    return Cause(
        root_cause=cause.root_cause,
        mitigation=cause.mitigation,
        summary=cause.summary,
        confidence=cause.confidence,
        suspects=tuple(
            Suspect(entity=each.entity, confidence=each.confidence, reason=each.reason)
            for each in cause.suspects
        ),
    )


def _labels(labels: Iterable[series_pb2.Label]) -> dict[str, str]:
    return {each.name: each.value for each in labels}
