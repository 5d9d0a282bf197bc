"""Incidents on a screen."""

from collections.abc import Sequence
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console
from rich.table import Table

from cli.render.text import escape
from sensus.incidents.v1 import incident_pb2
from sensus.incidents.v1 import incidents_service_pb2 as pb

_SEVERITIES = {1: "info", 2: "warning", 3: "critical"}
_QUIET = (incident_pb2.EVENT_KIND_MEMBERS, incident_pb2.EVENT_KIND_EXPLAINED)


def state_of(incident: incident_pb2.Incident) -> str:
    """The state in a word, and how it is muted."""
    name = incident_pb2.IncidentState.Name(incident.state).removeprefix("INCIDENT_STATE_").lower()
    muted = ", muted" if incident.HasField("mute") else ""
    silenced = ", silenced" if incident.silence_ids else ""
    return f"{name}{muted}{silenced}"


def show_incidents(
    console: Console, found: Sequence[incident_pb2.Incident], *, with_acts: bool = False
) -> None:
    """One line each; on demand with when its owner last did anything."""
    table = Table(box=None, pad_edge=False)
    acts = ("last act",) if with_acts else ()
    for title in ("incident", "severity", "state", "since", "alerts", "owner", *acts, "what"):
        table.add_column(title, overflow="fold")
    for each in found:
        table.add_row(
            each.incident_id,
            _SEVERITIES.get(each.severity, ""),
            state_of(each),
            _time(each.start_time),
            f"{each.firing_count}/{each.member_count}",
            escape(each.owner or "-"),
            *((_time(each.owner_active_time),) if with_acts else ()),
            escape(each.title),
        )
    console.print(table)


def show_incident(console: Console, answer: pb.GetIncidentResponse) -> None:
    """All that is known, for one page."""
    found = answer.incident
    console.print(f"[bold]{escape(found.title)}[/]", soft_wrap=True)
    console.print(
        f"{found.incident_id}  {_SEVERITIES.get(found.severity, '')}  {state_of(found)}  "
        f"since {_time(found.start_time)}  owner {escape(found.owner or 'nobody')}"
    )
    services = escape(", ".join(found.services))
    console.print(f"{found.firing_count} of {found.member_count} alerts fire, at {services}")
    if found.cause.root_cause:
        console.print(f"Cause: {escape(found.cause.root_cause)} ({found.cause.confidence:.0%})")
    if found.cause.mitigation:
        console.print(f"Do first: {escape(found.cause.mitigation)}")
    for each in found.changes:
        console.print(f"Changed: {escape(each.title)}")
    for id in found.merge_proposals:
        console.print(f"May be the same: {id}")
    for member in answer.members[:20]:
        labels = escape(", ".join(f"{each.name}={each.value}" for each in member.labels))
        over = "ended" if member.HasField("end_time") else "fires"
        console.print(f"  {_time(member.start_time)} {over} {labels}", soft_wrap=True)
    if found.member_count > len(answer.members[:20]):
        console.print(f"  and {found.member_count - len(answer.members[:20])} more")


def show_timeline(console: Console, events: Sequence[incident_pb2.IncidentEvent]) -> None:
    """What happened, oldest first."""
    for each in reversed(events):
        actor = "" if each.actor == "sensus" else f"{each.actor}: "
        line = f"  {_time(each.time)} #{each.event_id} {actor}{each.text}"
        console.print(escape(line), soft_wrap=True)


def show_change(console: Console, change: pb.IncidentChange) -> None:
    """One line of what happened to an incident; nothing for members alone."""
    if change.event.kind in _QUIET:
        return
    kind = incident_pb2.EventKind.Name(change.event.kind).removeprefix("EVENT_KIND_").lower()
    line = f"{_time(change.event.time)} incident {change.event.incident_id} {kind}"
    console.print(f"[bold]{line}[/] {escape(change.event.text)}", soft_wrap=True)


def _time(stamp: Timestamp) -> str:
    found = datetime.fromtimestamp(stamp.seconds, UTC)
    return found.strftime("%Y-%m-%d %H:%M:%S")
