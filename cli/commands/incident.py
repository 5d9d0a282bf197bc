"""`sensus incident`, `ack`, `resolve` and what else people do to one incident."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import grpc
import typer

from cli.clients.connection import INCIDENTS, connect, request_id
from cli.clients.incidents import ask
from cli.options import DEFAULT_DATA_DIR, DataDir, length
from cli.problem import Problem
from cli.product.directory import DataDirectory
from cli.render.incidents import show_incident, show_incidents, show_timeline
from cli.render.screen import make_console
from sensus.incidents.v1 import incidents_service_pb2 as pb

T = TypeVar("T")
Id = Annotated[str, typer.Argument(metavar="ID", help="Of the incident.")]
Reason = Annotated[str, typer.Option(help="Why.")]


def incident(id: Id, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Show an incident: what, where, why, who, and what happened."""

    async def run(channel: grpc.aio.Channel) -> tuple[Any, Any]:
        found = await ask(channel, "GetIncident", pb.GetIncidentRequest(incident_id=id))
        request = pb.ListTimelineRequest(incident_id=id, page_size=30)
        return found, await ask(channel, "ListTimeline", request)

    found, timeline = _asked(data_dir, run)
    console = make_console()
    show_incident(console, found)
    show_timeline(console, timeline.events)


def ack(id: Id, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Say that you are on it."""
    request = pb.AcknowledgeRequest(incident_id=id, request_id=request_id())
    _changed(data_dir, "Acknowledge", request)


def resolve(
    id: Id,
    reason: Reason = "",
    cause: Annotated[str, typer.Option(help="What it was.")] = "",
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Say that it is over, though alerts of it may fire."""
    request = pb.ResolveRequest(incident_id=id, reason=reason, cause=cause, request_id=request_id())
    _changed(data_dir, "Resolve", request)


def mute(
    id: Id,
    time: Annotated[
        str, typer.Option("--for", help="30m, 4h or 2d; without it until it is resolved.")
    ] = "",
    reason: Reason = "",
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Hold its notices back."""
    request = pb.MuteRequest(incident_id=id, reason=reason, request_id=request_id())
    if time:
        request.end_time.FromDatetime(datetime.now(UTC) + length("--for", time))
    else:
        request.until_resolved = True
    _changed(data_dir, "Mute", request)


def merge(
    id: Id,
    others: Annotated[list[str], typer.Argument(metavar="OTHER...", help="Become part of it.")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Make other incidents part of one."""
    request = pb.MergeIncidentsRequest(incident_id=id, incident_ids=others, request_id=request_id())
    _changed(data_dir, "MergeIncidents", request)


def split(
    id: Id,
    members: Annotated[list[str], typer.Argument(metavar="MEMBER...", help="Leave it.")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Take alerts out of an incident into a new one."""
    request = pb.SplitIncidentRequest(incident_id=id, member_ids=members, request_id=request_id())
    answer = _asked(data_dir, lambda channel: ask(channel, "SplitIncident", request))
    show_incidents(make_console(), [answer.incident, answer.new_incident])


def note(
    id: Id,
    text: Annotated[str, typer.Argument(help="Plain text.")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Write a note on its timeline."""
    request = pb.AddNoteRequest(incident_id=id, text=text, request_id=request_id())
    answer = _asked(data_dir, lambda channel: ask(channel, "AddNote", request))
    show_timeline(make_console(), [answer.event])


def undo(
    id: Id,
    event_id: Annotated[int, typer.Argument(min=1, help="Of its timeline.")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Take back what a person did within the last 24 hours."""
    request = pb.UndoChangeRequest(incident_id=id, event_id=event_id, request_id=request_id())
    _changed(data_dir, "UndoChange", request)


def postmortem(
    id: Id,
    draft: Annotated[
        bool, typer.Option("--draft", help="The draft, though a text was saved.")
    ] = False,
    save: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Keep the text of this file.")
    ] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Print its postmortem as Markdown: the text that was saved, else a draft from the log."""

    async def run(channel: grpc.aio.Channel) -> pb.Postmortem:
        found = await ask(channel, "GetPostmortem", pb.GetPostmortemRequest(incident_id=id))
        if save is None:
            return found.postmortem  # type: ignore[no-any-return]
        request = pb.SavePostmortemRequest(
            incident_id=id,
            text=_text_of(save),
            etag=found.postmortem.etag,
            request_id=request_id(),
        )
        return (await ask(channel, "SavePostmortem", request)).postmortem  # type: ignore[no-any-return]

    found = _asked(data_dir, run)
    typer.echo(found.draft if draft or not found.text else found.text)


def _changed(data_dir: Path, method: str, request: Any) -> None:
    answer = _asked(data_dir, lambda channel: ask(channel, method, request))
    show_incidents(make_console(), [answer.incident])


def _asked(data_dir: Path, run: Callable[[grpc.aio.Channel], Awaitable[T]]) -> T:
    async def connected() -> T:
        async with connect(DataDirectory(data_dir), INCIDENTS) as channel:
            return await run(channel)

    return asyncio.run(connected())


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"--save {file}: {error}") from None
