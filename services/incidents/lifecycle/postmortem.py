"""A draft of a postmortem from the log: Markdown in which every figure is one of the evidence."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from services.incidents.lifecycle.members import NAMES
from services.incidents.model.incident import (
    Cause,
    Event,
    EventKind,
    Incident,
    IncidentState,
    Member,
)

_TIMELINE: Final = 200
_TRIED: Final = (EventKind.NOTE, EventKind.MUTED, EventKind.UPDATED, EventKind.UNDONE)
_QUIET: Final = (EventKind.MEMBERS, EventKind.EXPLAINED)
_MARKS: Final = str.maketrans({each: f"\\{each}" for each in "\\`*_[]<>#|"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A line of the draft, and what it stands on."""

    text: str
    event_ids: tuple[int, ...] = ()
    evidence_ids: tuple[str, ...] = ()
    member_ids: tuple[str, ...] = ()


@dataclass(slots=True)
class _Draft:
    lines: list[str] = field(default_factory=list)
    claims: list[Statement] = field(default_factory=list)

    def heading(self, text: str) -> None:
        self.lines += ["", f"## {text}", ""]

    def say(
        self,
        text: str,
        *,
        events: Sequence[int] = (),
        evidence: Sequence[str] = (),
        members: Sequence[str] = (),
    ) -> None:
        line = f"- {text}"
        self.lines.append(line)
        self.claims.append(
            Statement(
                text=line,
                event_ids=tuple(events),
                evidence_ids=tuple(evidence),
                member_ids=tuple(members[:20]),
            )
        )


def postmortem(
    incident: Incident, events: Sequence[Event], members: Sequence[Member]
) -> tuple[str, list[Statement]]:
    """Markdown, and its statements. Events are those of the incident, oldest first."""
    draft = _Draft(lines=[f"# {plain(incident.title)}"])
    _impact(draft, incident, members)
    _timeline(draft, events)
    _cause(draft, incident)
    _tried(draft, events)
    _open_questions(draft, incident)
    draft.lines += ["", "## Action items", "", "_None yet._", ""]
    return "\n".join(draft.lines), draft.claims


def plain(text: str) -> str:
    """Telemetry as text: it makes no link, no heading and no second line."""
    return " ".join(text.split()).translate(_MARKS)


def clock(time_ms: int) -> str:
    """A time to the second, UTC."""
    return datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _impact(draft: _Draft, incident: Incident, members: Sequence[Member]) -> None:
    draft.heading("Impact")
    ids = [each.member_id for each in members]
    draft.say(f"Severity: {NAMES[incident.severity]}.", members=ids)
    draft.say(f"Began {clock(incident.start_ms)}.", members=ids)
    if incident.resolve_ms:
        minutes = (incident.resolve_ms - incident.start_ms) // 60_000
        draft.say(f"Resolved {clock(incident.resolve_ms)}, {minutes} minutes later.", members=ids)
    draft.say(f"{incident.member_count} alerts and anomalies.", members=ids)
    for service, count in sorted(incident.services.items(), key=lambda each: (-each[1], each[0])):
        own = [each.member_id for each in members if each.service == service]
        draft.say(f"{plain(service)}: {count} of them.", members=own)


def _timeline(draft: _Draft, events: Sequence[Event]) -> None:
    draft.heading("Timeline")
    shown = [each for each in events if each.kind not in _QUIET]
    for event in shown[:_TIMELINE]:
        draft.say(f"{clock(event.at_ms)} {plain(event.text)}", events=[event.event_id])


def _cause(draft: _Draft, incident: Incident) -> None:
    draft.heading("Cause")
    if incident.resolve_cause:
        said = f"{plain(incident.resolved_by)} says: {plain(incident.resolve_cause)}"
        draft.say(said)
    cause = incident.cause
    if cause is None or not cause.root_cause:
        if not incident.resolve_cause:
            draft.lines.append("_No cause is evident._")
        return
    draft.say(plain(cause.root_cause), evidence=_evidence(cause, "explains"))
    for claim in cause.claims:
        if claim.kind not in ("missing", "act", "explains"):
            draft.say(plain(claim.text), evidence=claim.evidence_ids)


def _tried(draft: _Draft, events: Sequence[Event]) -> None:
    draft.heading("What was tried")
    for event in events:
        if event.kind in _TRIED:
            message = f"{clock(event.at_ms)} {plain(event.actor)}: {plain(event.text)}"
            draft.say(message, events=[event.event_id])


def _open_questions(draft: _Draft, incident: Incident) -> None:
    draft.heading("Open questions")
    for claim in incident.cause.claims if incident.cause else ():
        if claim.kind == "missing":
            draft.say(plain(claim.text), evidence=claim.evidence_ids)
    if incident.state is not IncidentState.RESOLVED:
        draft.say("It is not resolved yet.")


def _evidence(cause: Cause, kind: str) -> tuple[str, ...]:
    return tuple(id for each in cause.claims if each.kind == kind for id in each.evidence_ids)
