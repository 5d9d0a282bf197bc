"""The product's own words for a notice. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from services.notifier.model.incident import Incident
from services.notifier.model.notices import Content, Event, Kind
from services.notifier.texts.inert import one_line

LATE_S: Final = 60.0
"""A notice that is older when it goes out says how late it is."""

TITLE_CHARS_MAX: Final = 250
_LABELS_SHOWN: Final = 12
_SUSPECTS_SHOWN: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeText:
    """A notice in words. All of it may hold foreign text: each channel makes that inert.

    Attributes:
        title: One line.
        summary: What happened, in a few sentences; may be empty.
        facts: Names and values.
        link: Where more is to be seen; ours, empty where no address is configured.
        body: A person's own text instead of summary and facts; empty for none.
    """

    title: str
    summary: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    link: str = ""
    body: str = ""


def title_of(kind: Kind, incident: Incident, event: Event) -> str:
    """The first line."""
    lead = _lead(kind, incident, event)
    return one_line(f"[{incident.severity.upper()}] {lead}: {incident.title}", TITLE_CHARS_MAX)


def compose_notice(
    kind: Kind, title: str, content: Content, *, age_s: float, public_url: str
) -> NoticeText:
    """All that a notice says; `age_s` is from the event to now."""
    incident = content.incident
    if incident is None:
        return NoticeText(title=title, summary=content.event.text)
    return NoticeText(
        title=title,
        summary=_summary(incident),
        facts=tuple(_facts(kind, incident, content.event, age_s)),
        link=f"{public_url.rstrip('/')}/incidents/{incident.incident_id}" if public_url else "",
    )


def span(seconds: float) -> str:
    """A length of time for people.

    >>> span(50), span(840), span(7300), span(200000)
    ('50 s', '14 min', '2 h 1 min', '2 d 7 h')
    """
    whole = max(0, round(seconds))
    if whole < 90:
        return f"{whole} s"
    minutes = whole // 60
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def _lead(kind: Kind, incident: Incident, event: Event) -> str:
    lasted = span((event.time_ms - (incident.start_ms or incident.open_ms or event.time_ms)) / 1000)
    owner = incident.owner.partition(":")[2] or incident.owner
    match kind:
        case Kind.ACKNOWLEDGED:
            return f"{owner or event.actor or 'somebody'} is on it"
        case Kind.WORSENED:
            return f"now {incident.severity}"
        case Kind.RESOLVED:
            return f"resolved after {lasted}"
        case Kind.AGAIN:
            return "again"
        case Kind.FLAPPING:
            return "comes and goes"
        case Kind.STILL_OPEN:
            return f"still open after {lasted}"
        case Kind.UNATTENDED:
            return "nobody is on it"
        case Kind.MERGED:
            return f"part of incident {incident.merged_into}"
        case Kind.ESCALATED:
            return f"not acknowledged for {lasted}"
        case Kind.EDITED:
            return str(incident.state)
        case _:
            return "opened"


def _summary(incident: Incident) -> str:
    cause = incident.cause
    if cause is None:
        return ""
    parts = [cause.root_cause or cause.summary]
    if cause.mitigation:
        parts.append(f"First: {cause.mitigation}")
    return " ".join(part for part in parts if part)


def _facts(kind: Kind, incident: Incident, event: Event, age_s: float) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    if age_s > LATE_S:
        word = str(kind).replace("_", " ")
        rows.append(("late", f"{word} {span(age_s)} ago; this notice could not be sent before"))
    if incident.start_ms:
        rows.append(("since", _time(incident.start_ms)))
    rows.append(("state", str(incident.state)))
    if incident.services:
        rows.append(("services", ", ".join(incident.services[:5])))
    if incident.environment:
        rows.append(("environment", incident.environment))
    rows.append(("alerts", f"{incident.member_count}, of which {incident.firing_count} fire"))
    if incident.owner:
        rows.append(("owner", incident.owner))
    if incident.cause:
        for suspect in incident.cause.suspects[:_SUSPECTS_SHOWN]:
            sure = f"{suspect.entity} ({suspect.confidence:.0%})"
            rows.append(("suspect", f"{sure}: {suspect.reason}" if suspect.reason else sure))
    rows += [("changed", f"{_time(c.time_ms)} {c.title}") for c in incident.changes[:3]]
    if incident.slo_minutes is not None:
        rows.append(("error budget", f"{incident.slo_minutes:.1f} minutes"))
    if incident.resolve_reason:
        rows.append(("resolved because", incident.resolve_reason))
    if event.text:
        rows.append(("event", event.text))
    shown = sorted(incident.labels.items())[:_LABELS_SHOWN]
    rows += [(f"label {name}", value) for name, value in shown]
    rows.append(("incident", incident.incident_id))
    return rows


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
