"""Incidents, members and events for the wire."""

from collections.abc import Sequence

from mesh.publisher import Frame
from sensus.incidents.v1 import incident_pb2 as pb
from sensus.incidents.v1 import incidents_service_pb2 as service_pb
from services.incidents.convert.common import labels, maybe_timestamp, timestamp
from services.incidents.keeper.actions import etag_of
from services.incidents.lifecycle.labels import routing_labels
from services.incidents.model.incident import Cause, Event, Incident, Member
from services.incidents.store.log import LoggedEvent

_SERVICES = 50


def incident(known: Incident) -> pb.Incident:
    """An incident."""
    services = sorted(known.services, key=lambda each: (-known.services[each], each))
    return pb.Incident(
        incident_id=known.incident_id,
        state=int(known.state),  # type: ignore[arg-type]
        severity=known.severity,  # type: ignore[arg-type]
        title=known.title,
        labels=labels({**known.labels, **routing_labels(known)}),
        environment=known.environment,
        services=services[:_SERVICES],
        owner=known.owner,
        mute=_mute(known),
        silence_ids=known.silence_ids,
        member_count=known.member_count,
        firing_count=known.firing_count,
        start_time=timestamp(known.start_ms),
        open_time=maybe_timestamp(known.open_ms),
        acknowledge_time=maybe_timestamp(known.acknowledge_ms),
        resolve_time=maybe_timestamp(known.resolve_ms),
        update_time=timestamp(known.update_ms),
        transition=known.transition,
        event_no=known.event_no,
        flap_count=known.flap_count,
        reopen_count=known.reopen_count,
        flapping=known.flapping,
        merged_into=known.merged_into,
        merge_proposals=known.merge_proposals,
        cause=_cause(known.cause) if known.cause else None,
        changes=_changes(known.cause),
        resolve_reason=known.resolve_reason,
        resolve_cause=known.resolve_cause,
        etag=etag_of(known),
        traceparent=known.traceparent,
        owner_active_time=maybe_timestamp(known.owner_seen_ms) if known.owner else None,
    )


def member(known: Member) -> pb.Member:
    """A member."""
    return pb.Member(
        member_id=known.member_id,
        kind=known.kind,  # type: ignore[arg-type]
        labels=labels(known.labels),
        severity=known.severity,  # type: ignore[arg-type]
        start_time=timestamp(known.start_ms),
        end_time=maybe_timestamp(known.end_ms),
        join_reason=known.reason,  # type: ignore[arg-type]
        fingerprint=known.fingerprint,
    )


def event(known: Event, undone_by: int = 0) -> pb.IncidentEvent:
    """A row of the log."""
    return pb.IncidentEvent(
        event_id=known.event_id,
        incident_id=known.incident_id,
        event_no=known.event_no,
        kind=int(known.kind),  # type: ignore[arg-type]
        actor=known.actor,
        time=timestamp(known.at_ms),
        text=known.text,
        transition=known.transition,
        state=known.state,  # type: ignore[arg-type]
        severity=known.severity,  # type: ignore[arg-type]
        related_ids=known.related_ids,
        member_ids=known.member_ids,
        can_undo=bool(known.undo) and not undone_by,
        undone_by=undone_by,
    )


def timeline(events: Sequence[Event]) -> list[pb.IncidentEvent]:
    """Events, newest first; those that later ones took back say so."""
    undone = {each.undoes: each.event_id for each in events if each.undoes}
    return [event(each, undone.get(each.event_id, 0)) for each in events]


def frame(
    known: Frame[LoggedEvent], label_sets: Sequence[service_pb.LabelSet], now_ms: int
) -> service_pb.WatchIncidentsResponse:
    """One frame of a watch; `label_sets` are those of members, where they are asked for."""
    if known.entry is not None:
        change = service_pb.IncidentChange(
            event=event(known.entry.event),
            incident=incident(known.entry.incident),
            member_labels=label_sets,
        )
        return service_pb.WatchIncidentsResponse(cursor=known.cursor, change=change)
    if known.draining:
        draining = service_pb.IncidentsDraining()
        return service_pb.WatchIncidentsResponse(cursor=known.cursor, draining=draining)
    heartbeat = service_pb.IncidentsHeartbeat(server_time=timestamp(now_ms))
    return service_pb.WatchIncidentsResponse(cursor=known.cursor, heartbeat=heartbeat)


def _mute(known: Incident) -> pb.Mute | None:
    if not known.is_muted:
        return None
    mute = pb.Mute(actor=known.mute_actor, reason=known.mute_reason)
    if known.mute_until_resolved:
        mute.until_resolved = True
    else:
        mute.end_time.CopyFrom(timestamp(known.mute_until_ms))
    return mute


def _cause(known: Cause) -> pb.Cause:
    return pb.Cause(
        explanation_id=known.explanation_id,
        root_cause=known.root_cause,
        mitigation=known.mitigation,
        summary=known.summary,
        confidence=known.confidence,
        suspects=[
            pb.Suspicion(entity=each.entity, confidence=each.confidence, reason=each.reason)
            for each in known.suspects
        ],
    )


def _changes(cause: Cause | None) -> list[pb.RelatedChange]:
    if cause is None:
        return []
    return [
        pb.RelatedChange(
            change_id=each.change_id, title=each.title, time=maybe_timestamp(each.time_ms)
        )
        for each in cause.changes[:20]
    ]
