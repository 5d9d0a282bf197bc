"""From a change of an incident to the notices and timers that it gives."""

from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from typing import Final

from services.notifier.decisions.holds import HoldRules
from services.notifier.model.incident import Incident, State
from services.notifier.model.notices import Content, Event, Kind, NewNotice
from services.notifier.model.timers import Timer, TimerKind
from services.notifier.routing.receivers import channel_of
from services.notifier.routing.tree import Match, Routing
from services.notifier.texts.wording import title_of

TO_THE_TOLD: Final = frozenset({Kind.ACKNOWLEDGED, Kind.RESOLVED, Kind.MERGED})
"""Only those hear of these who heard of the incident."""

STARTS: Final = frozenset({Kind.OPENED, Kind.AGAIN, Kind.FLAPPING, Kind.WORSENED, Kind.UNATTENDED})
"""These begin escalations and repeats of routes that have none yet."""

EDITS: Final = frozenset({"slack"})
"""Channels that can change what was sent."""

Way = tuple[str, str]
"""Receiver and integration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A row of the log of incidents. `kind` is None where it gives no notice.

    Attributes:
        incident: With state and severity as of the event.
        event_no: Place in the log of the incident.
        releases: Whether a mute or a silence ended.
    """

    cursor: int
    incident: Incident
    event: Event
    kind: Kind | None
    transition: int
    event_no: int
    releases: bool = False
    traceparent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredState:
    """What is stored of the incident. `notified` are the ways by which it was announced."""

    notified: Set[Way] = frozenset()
    holds: HoldRules


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to store. `timers_end` is whether all timers of the incident are over."""

    notices: list[NewNotice] = field(default_factory=list)
    timers: list[Timer] = field(default_factory=list)
    timers_end: bool = False


def plan(change: Change, known: StoredState, *, cause_wait_s: float = 0.0) -> Plan:
    """The notices and timers of one change.

    Args:
        change: The change.
        known: What is stored of its incident.
        cause_wait_s: How long the first notice waits for the cause, when there is none yet.
    """
    if change.kind is None:
        return Plan(notices=list(_edits(change, known)))
    routing = known.holds.routing
    incident = change.incident
    matches = routing.matches(incident.labels, incident.member_labels)
    if change.kind in TO_THE_TOLD:
        notices = list(_to_the_notified(change, known, matches))
    else:
        notices = [
            notice
            for match in _one_per_receiver(matches)
            for notice in notices_of(
                change.kind,
                incident,
                change.event,
                match,
                known,
                transition=change.transition,
                wait_s=_wait_s(change, match),
                cause_wait_s=cause_wait_s if _lacks_cause(change) else 0.0,
            )
        ]
    starts = change.kind in STARTS
    return Plan(
        notices=notices,
        timers=list(_timers(change, matches)) if starts else [],
        timers_end=change.kind in (Kind.RESOLVED, Kind.MERGED),
    )


def notices_of(
    kind: Kind,
    incident: Incident,
    event: Event,
    match: Match,
    known: StoredState,
    *,
    transition: int,
    step: str = "",
    wait_s: float = 0.0,
    cause_wait_s: float = 0.0,
    receiver: str = "",
) -> Iterator[NewNotice]:
    """One notice for each integration of the receiver of a route, or of another one."""
    routing = known.holds.routing
    name = receiver or match.route.receiver
    found = routing.receivers.get(name)
    for integration, way in found.integrations.items() if found else ():
        if kind is Kind.RESOLVED and not way.send_resolved:
            continue
        yield NewNotice(
            incident_id=incident.incident_id,
            transition=transition,
            kind=kind,
            severity=incident.severity,
            receiver=name,
            integration=integration,
            title=title_of(kind, incident, event),
            content=Content(
                event=event,
                incident=incident,
                group_labels=match.route.group_labels(incident.labels),
                route=match.path[-1],
            ),
            path=match.path,
            step=step,
            wait_s=wait_s,
            cause_wait_s=max(wait_s, cause_wait_s),
            held_by=known.holds.of(kind, incident, match.route),
        )


def match_for(routing: Routing, incident: Incident, receiver: str) -> Match | None:
    """The first route that tells this receiver of the incident; the root where none does."""
    matches = routing.matches(incident.labels, incident.member_labels)
    for match in matches:
        if match.route.receiver == receiver:
            return match
    return matches[0] if matches else None


def _one_per_receiver(matches: list[Match]) -> list[Match]:
    return list({match.route.receiver: match for match in reversed(matches)}.values())[::-1]


def _to_the_notified(
    change: Change, known: StoredState, matches: list[Match]
) -> Iterator[NewNotice]:
    assert change.kind is not None  # noqa: S101
    for receiver in sorted({receiver for receiver, _ in known.notified}):
        match = match_for(known.holds.routing, change.incident, receiver)
        if match is None:
            continue
        for notice in notices_of(
            change.kind,
            change.incident,
            change.event,
            match,
            known,
            transition=change.transition,
            receiver=receiver,
        ):
            if (receiver, notice.integration) in known.notified:
                yield notice


def _edits(change: Change, known: StoredState) -> Iterator[NewNotice]:
    """What was sent is edited where that is possible; it makes no noise, so nothing holds it."""
    for receiver, integration in sorted(known.notified):
        match = match_for(known.holds.routing, change.incident, receiver)
        if channel_of(integration) not in EDITS or match is None:
            continue
        for notice in notices_of(
            Kind.EDITED,
            change.incident,
            change.event,
            match,
            known,
            transition=change.transition,
            step=f"event-{change.event_no}",
            receiver=receiver,
        ):
            if notice.integration == integration and not notice.held_by:
                yield notice


def _lacks_cause(change: Change) -> bool:
    return change.kind is Kind.OPENED and change.incident.cause is None


def _wait_s(change: Change, match: Match) -> float:
    """The first notice waits as long as the route's groups do, further ones their interval."""
    is_first = change.kind in (Kind.OPENED, Kind.AGAIN)
    return match.route.group_wait_s if is_first else match.route.group_interval_s


def _timers(change: Change, matches: list[Match]) -> Iterator[Timer]:
    if change.incident.state not in (State.OPEN, State.ACKNOWLEDGED):
        return
    for match in matches:
        route = match.route
        for number, step in enumerate(route.escalate):
            yield Timer(
                incident_id=change.incident.incident_id,
                kind=TimerKind.ESCALATE,
                transition=change.transition,
                step=number,
                receiver=step.receiver,
                path=match.path,
                event_ms=change.event.time_ms,
                after_s=step.after_s,
                unless=step.unless,
            )
        yield Timer(
            incident_id=change.incident.incident_id,
            kind=TimerKind.REPEAT,
            transition=change.transition,
            step=1,
            receiver=route.receiver,
            path=match.path,
            event_ms=change.event.time_ms,
            after_s=route.repeat_interval_s,
            every_s=route.repeat_interval_s,
            repeats_max=route.max_repeats,
        )
