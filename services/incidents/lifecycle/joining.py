"""Merging incidents, splitting one, and what explanations say."""

from collections.abc import Sequence

from services.incidents.lifecycle.events import draft, event
from services.incidents.lifecycle.members import title_of
from services.incidents.model.change import JoinReason
from services.incidents.model.incident import (
    SENSUS,
    Cause,
    Event,
    EventKind,
    Incident,
    IncidentState,
    Member,
)

SURE = 0.6
"""Confidence from which a suspect is more than a guess."""


def merged(
    into: Incident, others: Sequence[Incident], actor: str, now_ms: int
) -> tuple[Event, list[Event]]:
    """The event of the one that stays, and those of the others."""
    after = draft(into)
    for other in others:
        _absorb(after, other)
    after.title = after.title_set or title_of(after)
    if into.state is IncidentState.SETTLING and after.firing_count:
        after.state, after.since_ms = IncidentState(after.settle_back), now_ms
    ids = [each.incident_id for each in others]
    after.merge_proposals = [each for each in after.merge_proposals if each not in ids]
    text = f"{len(ids)} merged into it by {actor}"
    absorbed = event(into, after, EventKind.ABSORBED, actor, now_ms, text, related_ids=ids)
    return absorbed, [_part_of(each, into.incident_id, actor, now_ms) for each in others]


def _part_of(before: Incident, into_id: str, actor: str, now_ms: int) -> Event:
    after = draft(before)
    after.state, after.since_ms = IncidentState.MERGED, now_ms
    after.merged_into = into_id
    return event(
        before,
        after,
        EventKind.MERGED,
        actor,
        now_ms,
        f"part of {into_id}",
        notice=before.was_told,
        undoable=True,
        related_ids=[into_id],
    )


def unmerged(
    into: Incident, other: Incident, was: Event, members: Sequence[Member], actor: str, now_ms: int
) -> tuple[Event, Event]:
    """Takes a merge back for one of them: the event of the one that stayed, and of the other."""
    stays = draft(into)
    _take_out(stays, members)
    left = [each.member_id for each in members]
    text = f"{actor} took back that {other.incident_id} is part of it"
    first = event(
        into,
        stays,
        EventKind.UNDONE,
        actor,
        now_ms,
        text,
        related_ids=[other.incident_id],
        left=left,
        undoes=was.event_id,
    )
    after = draft(other)
    after.merged_into = ""
    after.state, after.since_ms = IncidentState(was.undo["state"]), now_ms
    after.firing_count = sum(not each.end_ms for each in members)
    after.member_count = len(members)
    text = f"{actor} took back: {was.text}"
    return first, event(other, after, EventKind.UNDONE, actor, now_ms, text, undoes=was.event_id)


def split(
    before: Incident, new_id: str, members: Sequence[Member], actor: str, now_ms: int
) -> tuple[Event, Incident, list[Member]]:
    """The event of the incident that they leave, the new one without them, and their rows in it."""
    after = draft(before)
    _take_out(after, members)
    if after.state in (IncidentState.OPEN, IncidentState.ACKNOWLEDGED) and not after.firing_count:
        after.settle_back, after.state, after.since_ms = after.state, IncidentState.SETTLING, now_ms
    left = [each.member_id for each in members]
    text = f"{actor} took {len(left)} out"
    gone = event(
        before, after, EventKind.SPLIT, actor, now_ms, text, related_ids=[new_id], left=left
    )
    new = Incident(
        incident_id=new_id,
        environment=before.environment,
        start_ms=min(each.start_ms for each in members),
        newest_ms=now_ms,
        start_seen_ms=now_ms,
        traceparent=before.traceparent,
    )
    return gone, new, [_moved(each) for each in members]


def explained(before: Incident, cause: Cause, now_ms: int) -> Event | None:
    """Shows an explanation when it is surer than the one that is there, or follows it."""
    shown = before.cause
    if before.state is IncidentState.MERGED or shown == cause:
        return None
    if shown and shown.member_id != cause.member_id and cause.confidence <= shown.confidence:
        return None
    after = draft(before)
    after.cause = cause
    text = cause.root_cause or "no cause is evident"
    return event(before, after, EventKind.EXPLAINED, SENSUS, now_ms, text)


def proposed(before: Incident, other_id: str, now_ms: int) -> Event | None:
    """Another incident has the same first suspect."""
    if other_id in before.merge_proposals:
        return None
    after = draft(before)
    after.merge_proposals = [*after.merge_proposals, other_id][-20:]
    text = f"{other_id} has the same first suspect: merge them?"
    return event(
        before, after, EventKind.MERGE_PROPOSED, SENSUS, now_ms, text, related_ids=[other_id]
    )


def lost(before: Incident, text: str, now_ms: int) -> Event:
    """Part of a watched log was gone before it was read: what it said of members is missing."""
    return event(before, draft(before), EventKind.GAP, SENSUS, now_ms, text)


def silenced(before: Incident, silence_ids: list[str], now_ms: int) -> Event | None:
    """Silences hold all of its firing alerts back, or no longer do."""
    if before.silence_ids == silence_ids:
        return None
    after = draft(before)
    after.silence_ids = silence_ids
    kind = EventKind.SILENCED if silence_ids else EventKind.UNSILENCED
    text = "all that fires is silenced" if silence_ids else "is heard again"
    return event(before, after, kind, SENSUS, now_ms, text)


def _absorb(after: Incident, other: Incident) -> None:
    after.member_count += other.member_count
    after.firing_count += other.firing_count
    after.severity = after.severity_set or max(after.severity, other.severity)
    after.labels = dict(sorted(after.labels.items() & other.labels.items()))
    for service, count in other.services.items():
        after.services[service] = after.services.get(service, 0) + count
    after.start_ms = min(after.start_ms, other.start_ms)
    after.newest_ms = max(after.newest_ms, other.newest_ms)
    if other.cause and (not after.cause or other.cause.confidence > after.cause.confidence):
        after.cause = other.cause


def _take_out(after: Incident, members: Sequence[Member]) -> None:
    """What remains still shares the labels that all shared."""
    after.member_count = max(0, after.member_count - len(members))
    after.firing_count = max(0, after.firing_count - sum(not each.end_ms for each in members))
    for member in members:
        left = after.services.get(member.service, 0) - 1
        if left > 0:
            after.services[member.service] = left
        else:
            after.services.pop(member.service, None)
    after.title = after.title_set or title_of(after)


def _moved(member: Member) -> Member:
    return Member(
        member_id=member.member_id,
        kind=member.kind,
        fingerprint=member.fingerprint,
        labels=member.labels,
        severity=member.severity,
        start_ms=member.start_ms,
        reason=JoinReason.PERSON,
        end_ms=member.end_ms,
        service=member.service,
    )
