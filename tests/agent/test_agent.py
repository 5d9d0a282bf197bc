"""The agent as a whole: against a real ingest, and against one that is not there."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from mesh.auth import TokenMinter, generate_key_files
from sensus_client import Ack, Rejection, Spool
from services.agent.config import Settings
from services.agent.endpoint import serving
from services.agent.machine import Reading
from services.agent.machine.value import Value
from services.agent.metrics import RELOADS, STREAM
from services.agent.publisher import Refusals, Spools, open_publisher
from services.agent.wiring import Agent
from tests.ingest.harness import config, query, running
from tests.product import eventually

REPOSITORY = Path(__file__).resolve().parents[2]


def put(file: Path, text: str) -> None:
    """Replaces a file at once: who looks at it never sees half of it."""
    fresh = file.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(file)


async def test_readings_arrive_and_a_changed_file_takes_effect(
    migrated_dsn: str, redis_url: str, tmp_path: Path
) -> None:
    keys, token, file = tmp_path / "keys", tmp_path / "token", tmp_path / "agent.toml"
    generate_key_files(keys, ["ingest", "gateway"])
    minter = TokenMinter.from_file(keys / "gateway.pem", "gateway")
    token.write_text(minter.mint("user:agent", ["write:samples"], 3600) + "\n")
    put(file, 'interval_s = 1\nlabels = ["stage=first"]\n')
    now_ms = time.time_ns() // 1_000_000
    async with running(config(migrated_dsn, redis_url, keys), keys) as ingest:
        settings = Settings(
            {
                "SENSUS_AGENT_CONFIG_FILE": str(file),
                "SENSUS_AGENT_INGEST_TARGET": f"127.0.0.1:{ingest.port}",
                "SENSUS_AGENT_TOKEN_FILE": str(token),
                "SENSUS_AGENT_SPOOL_DIRECTORY": str(tmp_path / "spool"),
                "SENSUS_AGENT_HOST": "here",
            }
        )
        agent = Agent(settings)
        working = asyncio.create_task(agent.run())

        async def stored(stage: str) -> list[tuple[int, float]] | None:
            selector = f'node_load1{{instance="here",job="node",stage="{stage}"}}'
            found = await query(ingest.stub, selector, now_ms - 60_000, now_ms + 600_000)
            return next(iter(found.values()), None)

        await eventually(lambda: stored("first"), what="the first reading")
        put(file, "interval_s = -1\n")  # refused, and the agent goes on
        await asyncio.sleep(0)
        put(file, 'interval_s = 1\nlabels = ["stage=second"]\n')
        await eventually(lambda: stored("second"), what="a reading with the new label")
        assert agent.trouble() == ""
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def test_what_was_known_of_a_newcomer_is_stored_before_its_first_value(
    migrated_dsn: str, redis_url: str, tmp_path: Path
) -> None:
    keys, token = tmp_path / "keys", tmp_path / "token"
    generate_key_files(keys, ["ingest", "gateway"])
    minter = TokenMinter.from_file(keys / "gateway.pem", "gateway")
    token.write_text(minter.mint("user:agent", ["write:samples"], 3600) + "\n")
    now_ms = time.time_ns() // 1_000_000
    past = [
        Reading(timestamp_ms=now_ms - 15_000 * ago, values=(Value.of("cores", 0.0, groupname="x"),))
        for ago in (2, 1)
    ]
    found = Value.of("cores", 4.0, groupname="x")
    reading = Reading(timestamp_ms=now_ms, values=(found,), earlier=tuple(past))
    async with running(config(migrated_dsn, redis_url, keys), keys) as ingest:
        settings = Settings(
            {
                "SENSUS_AGENT_INGEST_TARGET": f"127.0.0.1:{ingest.port}",
                "SENSUS_AGENT_TOKEN_FILE": str(token),
                "SENSUS_AGENT_SPOOL_DIRECTORY": str(tmp_path / "spool"),
            }
        )
        async with open_publisher(settings.config, Spools()) as publisher:
            await publisher.publish(reading)

            async def stored() -> list[tuple[int, float]] | None:
                series = await query(ingest.stub, "cores", now_ms - 60_000, now_ms + 600_000)
                return next(iter(series.values()), None)

            values = await eventually(stored, what="the reading")
    assert [value for _, value in values] == [0.0, 0.0, 4.0]


BAD_SETTINGS = [
    'tls_ca_file = "/nowhere/ca.pem"',
    'tls_cert_file = "/etc/hosts"',
    'tls_ca_file = "/with\\u0000nul"',
    'webhook_url = "ftp://there"',
    'webhook_url = "http://[there"',
    'webhook_url = "http://"',
    'spool_directory = "/dev/null/spool"',
    'spool_directory = "~nobody-of-this-name/spool"',
    'spool_directory = "/with\\u0000nul"',
    'procfs = "/nowhere"',
]


async def test_settings_that_cannot_be_opened_leave_the_agent_at_work(
    tmp_path: Path,
) -> None:
    file, spool = tmp_path / "agent.toml", tmp_path / "spool"
    base = f'interval_s = 1\ntop_processes = 0\nspool_directory = "{spool}"\n'
    put(file, base)
    environ = {"SENSUS_AGENT_CONFIG_FILE": str(file), "SENSUS_AGENT_INGEST_TARGET": "127.0.0.1:1"}
    settings = Settings(environ)
    settings.config = replace(settings.config, interval_s=0.02)  # faster than a file may say
    refused, taken = RELOADS.labels("refused")._value, RELOADS.labels("taken")._value
    refused_before, taken_before = refused.get(), taken.get()

    def pending() -> float:
        counts = {metric.name: metric.samples[0].value for metric in STREAM.collect()}
        return counts["sensus_agent_pending_samples"]

    working = asyncio.create_task(Agent(settings).run())

    async def becomes(condition: Callable[[], bool], what: str) -> None:
        async def holds() -> bool | None:
            if working.done():
                working.result()
            return condition() or None

        await eventually(holds, what=what)

    await becomes(lambda: pending() > 0, "a reading")
    for number, bad in enumerate(BAD_SETTINGS, start=1):
        text = base.replace("spool_directory", "# ") if "spool_directory" in bad else base
        put(file, f"{text}{bad}\n")
        await becomes(lambda n=number: refused.get() - refused_before == n, f"refused: {bad}")
    before = pending()
    await becomes(lambda: pending() > before, "a reading with the first settings")
    put(file, f"{base}spool_bytes = 2000000\n")  # the same spool, taken over
    await becomes(lambda: taken.get() - taken_before == 1, "the good settings")
    after = pending()
    await becomes(lambda: pending() > after, "a reading with the good settings")
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    await (await Spool.open(spool)).close()  # nobody holds it any more


def test_reason_of_refusals_is_logged_when_it_changes(caplog: pytest.LogCaptureFixture) -> None:
    refusals = Refusals()
    ack = Ack(sequence=1, accepted=0, duplicate=False, rejected=2, rejections=())
    late = replace(ack, rejections=(Rejection(0, "TOO_OLD", "older than the retention"),))
    many = replace(ack, rejections=(Rejection(0, "SERIES_LIMIT", "use fewer"),))
    for each in (late, late, many, ack, many):
        refusals.hear(each)
    told = [record.reason for record in caplog.records]
    assert told == ["TOO_OLD", "SERIES_LIMIT", "SERIES_LIMIT"]


async def test_health_and_metrics_are_served_and_nothing_else() -> None:
    trouble = ""
    async with (
        serving("127.0.0.1", 0, lambda: trouble) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http,
    ):
        assert (await http.get("/livez")).text == "ok\n"
        assert (await http.get("/readyz")).status_code == 200
        trouble = "no reading for 60 s"
        answer = await http.get("/readyz")
        assert (answer.status_code, answer.text) == (503, "no reading for 60 s\n")
        assert "\nsensus_agent_connected " in (await http.get("/metrics")).text
        assert (await http.get("/else")).status_code == 404
        assert (await http.post("/metrics")).status_code == 405
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /" + b"x" * 20_000)
        assert await asyncio.wait_for(reader.read(), 60) == b""
        writer.close()


def holds_a_reading(spool: Path) -> bool | None:
    return True if any(path.stat().st_size for path in spool.glob("*.seg")) else None


async def test_process_keeps_its_readings_while_ingest_is_away_and_stops_in_order(
    tmp_path: Path,
) -> None:
    environment = {
        **os.environ,
        "SENSUS_AGENT_INGEST_TARGET": "127.0.0.1:1",
        "SENSUS_AGENT_SPOOL_DIRECTORY": str(tmp_path / "spool"),
        "SENSUS_AGENT_METRICS_PORT": "0",
        "SENSUS_AGENT_INTERVAL_S": "1",
    }
    agent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.agent"),
        cwd=REPOSITORY,
        env=environment,
        stderr=subprocess.PIPE,
    )

    async def spooled() -> bool | None:
        return await asyncio.to_thread(holds_a_reading, tmp_path / "spool")

    await eventually(spooled, what="a reading in the spool")
    agent.send_signal(signal.SIGTERM)
    _, errors = await agent.communicate()
    assert agent.returncode == 0, errors.decode()
    assert b'"message": "stopped"' in errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "SENSUS_AGENT_INTERVAL_S: '0' does not fit"),
        (["--help"], "no arguments are taken, only settings: SENSUS_AGENT_CONFIG_FILE"),
    ],
)
async def test_process_that_is_told_nonsense_says_what(arguments: list[str], message: str) -> None:
    agent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.agent", *arguments),
        cwd=REPOSITORY,
        env={**os.environ, "SENSUS_AGENT_INTERVAL_S": "0"},
        stderr=subprocess.PIPE,
    )
    _, errors = await agent.communicate()
    assert agent.returncode == 2
    assert errors.decode().startswith(message)
