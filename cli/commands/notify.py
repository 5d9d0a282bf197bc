"""`sensus notify`: who gets which notice."""

from pathlib import Path
from typing import Annotated

import typer

from cli.clients.connection import request_id
from cli.clients.notices import asked
from cli.options import DEFAULT_DATA_DIR, DataDir
from cli.problem import Problem
from cli.render.notices import label_of, show_matches
from cli.render.screen import make_console
from sensus.notifier.v1 import notifier_service_pb2 as pb

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False)]

notify = typer.Typer(no_args_is_help=True, help="Routing of notices: import, put, show, test.")


@notify.command("import")
def import_config(
    file: File,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    put: Annotated[bool, typer.Option("--put", help="Make it the routing at once.")] = False,
) -> None:
    """Make a routing of an alertmanager.yml; what is lost is told on standard error."""
    request = pb.ImportAlertmanagerConfigRequest(yaml=_text_of(file))
    answer = asked(data_dir, "ImportAlertmanagerConfig", request)
    for each in answer.lost:
        typer.echo(f"lost: {each.path}: {each.reason}", err=True)
    if put:
        _put(data_dir, answer.yaml, dry_run=False)
    else:
        typer.echo(answer.yaml, nl=False)


@notify.command("put")
def put_routing(
    file: File,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check it.")] = False,
) -> None:
    """Make a file the routing that holds."""
    _put(data_dir, _text_of(file), dry_run=dry_run)


@notify.command("show")
def show_routing(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    version: Annotated[int, typer.Option(min=0, help="An earlier version.")] = 0,
) -> None:
    """Print the routing that holds."""
    answer = asked(data_dir, "GetRouting", pb.GetRoutingRequest(version=version))
    typer.echo(answer.routing.yaml, nl=False)


@notify.command("test")
def try_routing(
    labels: Annotated[
        list[str] | None, typer.Option("--labels", "-l", help="name=value, as often as needed.")
    ] = None,
    incident: Annotated[str, typer.Option(help="An incident instead of labels.")] = "",
    file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="A routing to try instead.")
    ] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Say who would be told, and by which path; nobody is."""
    request = pb.TestRoutingRequest(
        labels=[label_of(each) for each in labels or []],
        incident_id=incident,
        yaml=_text_of(file) if file else "",
    )
    answer = asked(data_dir, "TestRouting", request)
    show_matches(make_console(), answer)


@notify.command("send")
def send_test(receiver: str, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Send a test notice to a receiver, over each of its integrations."""
    request = pb.SendTestNoticeRequest(receiver=receiver, request_id=request_id())
    for notice in asked(data_dir, "SendTestNotice", request).notices:
        typer.echo(f"{notice.notice_id}  {notice.integration}")


def _put(data_dir: Path, yaml: str, *, dry_run: bool) -> None:
    request = pb.PutRoutingRequest(yaml=yaml, dry_run=dry_run)
    answer = asked(data_dir, "PutRouting", request)
    for warning in answer.warnings:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo("it can be put" if dry_run else f"version {answer.routing.version} holds")


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        message = f"{file}: byte {error.start} is not UTF-8: save the text as UTF-8"
        raise Problem(message) from None
    except OSError as error:
        raise Problem(f"{file}: {error.strerror}") from None
