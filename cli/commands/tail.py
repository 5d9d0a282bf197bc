"""`sensus tail`: incidents, anomalies and alerts as they come."""

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console

from cli.clients.connection import DETECTOR, INCIDENTS, INGEST, connect
from cli.clients.incidents import IncidentWatch
from cli.clients.watching import AlertWatch, AnomalyWatch
from cli.options import DEFAULT_DATA_DIR, DataDir, data_dir_words
from cli.problem import command_text
from cli.product.directory import DataDirectory
from cli.render.incidents import show_change
from cli.render.reports import show_alert, show_anomaly
from cli.render.screen import make_console
from mesh.errors import SensusError

Shown = Callable[[Any], None]


def tail(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    after: Annotated[
        int | None, typer.Option(min=0, help="Anomalies after this cursor; 0 for all there are.")
    ] = None,
    selector: Annotated[str, typer.Option(help='Only series such as cpu{host="a"}.')] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """Follow incidents, anomalies and alerts.

    Until Ctrl-C, across restarts of the services. At the end it prints the command that goes on
    from there.
    """
    console = make_console()
    anomaly_shown: Shown = lambda anomaly: show_anomaly(console, anomaly)  # noqa: E731
    alert_shown: Shown = lambda alert: show_alert(console, alert)  # noqa: E731
    incident_shown: Shown = lambda change: show_change(console, change)  # noqa: E731
    if as_json:
        anomaly_shown, alert_shown = _json_lines("anomaly"), _json_lines("alert")
        incident_shown = _json_lines("incident")
    shown = _Printers(anomaly_shown, alert_shown, incident_shown)
    following = _follow(DataDirectory(data_dir), shown, after, selector)
    try:
        asyncio.run(following)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


@dataclass(frozen=True, slots=True)
class _Printers:
    anomaly: Shown
    alert: Shown
    incident: Shown


async def _follow(
    directory: DataDirectory, shown: _Printers, after: int | None, selector: str
) -> None:
    since = Timestamp()
    since.GetCurrentTime()
    async with AsyncExitStack() as stack:
        detector = await stack.enter_async_context(connect(directory, DETECTOR))
        ingest = await stack.enter_async_context(connect(directory, INGEST))
        anomalies = AnomalyWatch(
            channel=detector, tell=shown.anomaly, after_cursor=after, selector=selector
        )
        alerts = AlertWatch(channel=ingest, tell=shown.alert, since=since)
        watches: list[AnomalyWatch | AlertWatch | IncidentWatch] = [anomalies, alerts]
        if directory.running().incidents_target:  # a product of an older release has none
            to_incidents = await stack.enter_async_context(connect(directory, INCIDENTS))
            watches.append(IncidentWatch(channel=to_incidents, tell=shown.incident))
        try:
            async with asyncio.TaskGroup() as group:
                for watch in watches:
                    group.create_task(watch.run())
        except* (SensusError, OSError) as errors:  # such as a pipe that nobody reads any more
            raise errors.exceptions[0] from None
        finally:
            _show_cursor(make_console(error=True), directory, anomalies.after_cursor)


def _show_cursor(console: Console, directory: DataDirectory, cursor: int | None) -> None:
    if cursor is not None:
        option = data_dir_words(directory.path)
        again = command_text("sensus", "tail", *option, "--after", cursor)
        console.print(f"go on with: {again}", markup=False, soft_wrap=True)


def _json_lines(kind: str) -> Shown:
    def show(message: Message) -> None:
        content = MessageToDict(message, preserving_proto_field_name=True)
        typer.echo(json.dumps({kind: content}))

    return show
