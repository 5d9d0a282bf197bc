"""`sensus notices`: what was sent to whom, and what became of it."""

from typing import Annotated

import typer
from rich.table import Table

from cli.clients.connection import request_id
from cli.clients.notices import asked
from cli.options import DEFAULT_DATA_DIR, DataDir
from cli.render.notices import label_of, show_matches
from cli.render.screen import make_console
from cli.render.text import escape
from sensus.notifier.v1 import notice_pb2
from sensus.notifier.v1 import notifier_service_pb2 as pb

notices = typer.Typer(help="Notices: list, show, send again; and how their receivers are.")


@notices.callback(invoke_without_command=True)
def list_notices(
    context: typer.Context,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    incident: Annotated[str, typer.Option(help="Only those of this incident.")] = "",
    receiver: Annotated[str, typer.Option(help="Only those to this receiver.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
) -> None:
    """List notices, newest first."""
    if context.invoked_subcommand:
        return
    request = pb.ListNoticesRequest(incident_id=incident, receiver=receiver, page_size=limit)
    table = Table(box=None, pad_edge=False)
    for title in ("notice", "state", "receiver", "over", "what"):
        table.add_column(title, overflow="fold")
    for each in asked(data_dir, "ListNotices", request).notices:
        state = notice_pb2.NoticeState.Name(each.state).removeprefix("NOTICE_STATE_").lower()
        cells = (each.notice_id, state, each.receiver, each.integration, each.title)
        table.add_row(*map(escape, cells))
    make_console().print(table)


@notices.command("show")
def show_notice(notice_id: str, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Show one notice with each attempt to deliver it."""
    console = make_console()
    found = asked(data_dir, "GetNotice", pb.GetNoticeRequest(notice_id=notice_id)).notice
    state = notice_pb2.NoticeState.Name(found.state).removeprefix("NOTICE_STATE_").lower()
    console.print(found.title, markup=False)
    console.print(f"  {state}, to {found.receiver} over {found.integration}", markup=False)
    console.print(f"  by {' > '.join(found.path)}", markup=False, soft_wrap=True)
    if found.held_by:
        console.print(f"  held back: {found.held_by}", markup=False)
    if found.trace_id:
        console.print(f"  trace {found.trace_id}", markup=False)
    for each in found.attempts:
        took = f"{each.latency.ToMilliseconds()} ms" if each.HasField("latency") else "never ended"
        result = each.error or "taken"
        console.print(f"  {each.attempt}. {took}, status {each.status}: {result}", markup=False)
        if each.answer:
            console.print(f"     {each.answer[:200]!r}", markup=False)


@notices.command("preview")
def preview(
    labels: Annotated[
        list[str] | None, typer.Option("--labels", "-l", help="name=value, as often as needed.")
    ] = None,
    incident: Annotated[str, typer.Option(help="An incident instead of labels.")] = "",
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Say who would be told now, by which path, and in which words; nobody is."""
    request = pb.TestRoutingRequest(
        labels=[label_of(each) for each in labels or []], incident_id=incident, include_texts=True
    )
    show_matches(make_console(), asked(data_dir, "TestRouting", request))


@notices.command("resend")
def resend(notice_id: str, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Deliver a notice once more."""
    request = pb.ResendNoticeRequest(notice_id=notice_id, request_id=request_id())
    typer.echo(asked(data_dir, "ResendNotice", request).notice.notice_id)


@notices.command("receivers")
def list_receivers(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """List receivers and whether they answer."""
    answer = asked(data_dir, "ListReceivers", pb.ListReceiversRequest())
    table = Table(box=None, pad_edge=False)
    for title in ("receiver", "over", "leads to", "answers", "waiting", "last error"):
        table.add_column(title, overflow="fold")
    for each in answer.receivers:
        for way in each.integrations:
            is_closed = way.circuit == pb.CIRCUIT_STATE_CLOSED
            answers = "yes" if is_closed else "left alone"
            cells = (each.receiver, way.integration, way.target, answers, str(way.waiting))
            table.add_row(*map(escape, (*cells, way.last_error)))
    make_console().print(table)
