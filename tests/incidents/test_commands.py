"""What people do by `sensus`, each command once, against the real service."""

import asyncio
from io import StringIO
from pathlib import Path

import grpc
import psutil
from rich.console import Console
from typer.testing import CliRunner

from cli.clients.incidents import IncidentWatch
from cli.main import _commands as app
from cli.product.directory import DataDirectory, Run
from cli.render.incidents import show_change
from mesh.auth import TokenMinter
from mesh.interceptors import client_interceptors
from mesh.wire import OWN_CONNECTIONS
from tests.incidents.harness import Running, until


def product(service: Running, path: Path) -> Path:
    """A data directory whose product is the service of the tests."""
    (path / "keys").symlink_to(service.keys)
    process = psutil.Process()
    DataDirectory(path).write_run(
        Run(
            pid=process.pid,
            started_at_s=process.create_time(),
            gateway_url="",
            ingest_target=f"127.0.0.1:{service.ingest.port}",
            detector_target="",
            explainer_target="",
            incidents_target=service.target,
        )
    )
    return path


async def sensus(data_dir: Path, *arguments: str) -> str:
    """The output of a command that ends well."""
    call = [*arguments, "--data-dir", str(data_dir)]
    result = await asyncio.to_thread(CliRunner().invoke, app, call)
    assert result.exit_code == 0, (arguments, result.output, result.exception)
    return result.output


async def test_each_command_changes_what_it_says(shared: Running, tmp_path: Path) -> None:
    here = product(shared, tmp_path)
    found = await shared.opened(shared.env(), "a", "b")
    other = await shared.opened(shared.env(), "c")
    one, two = found.incident_id, other.incident_id
    assert one in await sensus(here, "incidents")
    assert found.title in await sensus(here, "incident", one)
    assert "admin" in await sensus(here, "ack", one)
    assert one not in await sensus(here, "incidents", "--idle", "30m")
    assert one in await sensus(here, "incidents", "--idle", "0m")
    await sensus(here, "mute", one, "--for", "30m", "--reason", "known")
    assert (await shared.get(one)).incident.mute.reason == "known"
    assert "is at lunch" in await sensus(here, "note", one, "he is at lunch")
    await sensus(here, "merge", one, two)
    assert (await shared.get(two)).incident.incident_id == one
    member = (await shared.get(one)).members[0].member_id
    await sensus(here, "split", one, member)
    assert (await shared.get(one)).incident.member_count == 2
    await sensus(here, "resolve", one, "--cause", "a full disk")
    assert (await shared.get(one)).incident.resolve_cause == "a full disk"
    undone = (await shared.events(one))[-1].event_id
    await sensus(here, "undo", one, str(undone))
    assert (await shared.get(one)).incident.resolve_cause == ""
    assert "# " in await sensus(here, "postmortem", one)
    (tmp_path / "text.md").write_text("we bought a disk")
    await sensus(here, "postmortem", one, "--save", str(tmp_path / "text.md"))
    assert "we bought a disk" in await sensus(here, "postmortem", one)


async def test_what_cannot_be_done_is_named(shared: Running, tmp_path: Path) -> None:
    here = product(shared, tmp_path)
    call = ["merge", "i-0000000000000000", "i-0000000000000000", "--data-dir", str(here)]
    result = await asyncio.to_thread(CliRunner().invoke, app, call)
    assert result.exit_code != 0
    assert "each once" in f"{result.output}{result.exception}"
    call = ["incidents", "--idle", "soon", "--data-dir", str(here)]
    result = await asyncio.to_thread(CliRunner().invoke, app, call)
    assert "--idle soon: write a number and m, h or d" in f"{result.output}{result.exception}"


async def test_a_follower_shows_each_change_inert(shared: Running) -> None:
    screen = StringIO()
    console = Console(file=screen, width=200)
    tokens = TokenMinter.from_file(shared.keys / "gateway.pem", "gateway")
    calls = client_interceptors(
        tokens=lambda: tokens.mint("user:admin", ["admin"], 3600), default_timeout_s=120
    )
    async with grpc.aio.insecure_channel(
        shared.target, OWN_CONNECTIONS, interceptors=calls
    ) as channel:
        head = await shared.incidents.pool.fetchval("SELECT last_event FROM incidents.head")
        watch = IncidentWatch(
            channel=channel, tell=lambda change: show_change(console, change), after_cursor=head
        )
        task = asyncio.create_task(watch.run())
        hostile = "[red]\x1b[31m<b>\u202ealert"
        await shared.opened(shared.env(), hostile)

        async def shown() -> bool | None:
            return "opened" in screen.getvalue() or None

        await until(shown)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert "[red]" in screen.getvalue()
    assert "\x1b" not in screen.getvalue()
