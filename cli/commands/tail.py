"""`sensus tail`: anomalies and alerts as they come."""

import asyncio
import json
from collections.abc import Callable
from typing import Annotated, Any

import typer
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console

from cli.clients.connection import DETECTOR, INGEST, connect
from cli.clients.watching import AlertWatch, AnomalyWatch
from cli.directory import DataDirectory
from cli.options import DEFAULT_DATA_DIR, DataDir
from cli.reports import show_alert, show_anomaly
from cli.screen import make_console, make_output
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
    """Follow anomalies and alerts.

    Until Ctrl-C, across restarts of the services. At the end it tells the cursor from which
    --after goes on.
    """
    console = make_output()
    anomaly_shown: Shown = lambda anomaly: show_anomaly(console, anomaly)  # noqa: E731
    alert_shown: Shown = lambda alert: show_alert(console, alert)  # noqa: E731
    if as_json:
        anomaly_shown, alert_shown = _json_lines("anomaly"), _json_lines("alert")
    following = _follow(DataDirectory(data_dir), anomaly_shown, alert_shown, after, selector)
    try:
        asyncio.run(following)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


async def _follow(
    directory: DataDirectory,
    anomaly_shown: Shown,
    alert_shown: Shown,
    after: int | None,
    selector: str,
) -> None:
    since = Timestamp()
    since.GetCurrentTime()
    async with (
        connect(directory, DETECTOR) as detector,
        connect(directory, INGEST) as ingest,
    ):
        anomalies = AnomalyWatch(
            channel=detector, tell=anomaly_shown, after_cursor=after, selector=selector
        )
        alerts = AlertWatch(channel=ingest, tell=alert_shown, since=since)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(anomalies.run())
                group.create_task(alerts.run())
        except* (SensusError, OSError) as errors:  # such as a pipe that nobody reads any more
            raise errors.exceptions[0] from None
        finally:
            _tell_cursor(make_console(error=True), anomalies.after_cursor)


def _tell_cursor(console: Console, cursor: int | None) -> None:
    if cursor is not None:
        console.print(f"go on with: sensus tail --after {cursor}")


def _json_lines(kind: str) -> Shown:
    def show(message: Message) -> None:
        content = MessageToDict(message, preserving_proto_field_name=True)
        typer.echo(json.dumps({kind: content}))

    return show
