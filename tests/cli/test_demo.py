"""The demonstration runs unattended, on this machine's own metrics, and leaves nothing behind."""

import asyncio
import os
import signal
import subprocess
import sys
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import httpx
import psutil
import pytest

from cli.demo.load import cpu_load
from cli.demo.machine import BURNER, Machine
from cli.demo.notice import received_about
from cli.demo.receivers import HOST, receivers

REPOSITORY = Path(__file__).resolve().parents[2]
DEMO = [sys.executable, "-c", "from cli.main import app; app()", "demo"]


def test_the_machine_always_reads_the_same_series() -> None:
    machine = Machine({"self": os.getpid()})
    first, second = machine.read(), machine.read()
    assert [sample.labels for sample in first] == [sample.labels for sample in second]
    assert len({sample.labels for sample in first}) == len(first)
    assert all(("instance", os.uname().nodename) in sample.labels for sample in first)
    assert len({sample.timestamp_ms for sample in first}) == 1


async def test_the_load_is_real_and_ends_with_its_block(tmp_path: Path) -> None:
    machine = Machine({})
    async with cpu_load(tmp_path / "load.log") as pids:
        machine.watch(pids)
        assert len(pids) == psutil.cpu_count()
        burners = [psutil.Process(pid) for pid in pids]
        async with asyncio.timeout(300):
            while min(each.cpu_times().user for each in burners) < 0.5:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        (burned,) = [s.value for s in machine.read() if ("service", BURNER) in s.labels]
    assert burned > 0
    assert not any(map(psutil.pid_exists, pids))


async def test_receivers_take_what_the_notifier_sends() -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@demo.example", "b@demo.example", "it broke"
    mail["References"] = "<incident.i1@demo.example>"
    mail.set_content(".a line that begins with a dot\n")
    post = {"incident": {"incident_id": "i1"}, "title": "it broke"}
    async with receivers() as taken, httpx.AsyncClient(trust_env=False) as client:
        await aiosmtplib.send(mail, hostname=HOST, port=taken.mail_port, start_tls=False)
        answer = await client.post(f"http://{HOST}:{taken.webhook_port}/notices", json=post)
        assert answer.status_code == 200
        assert await received_about(taken, "i1") == (post, "it broke")
        assert taken.mails[0].get_content().strip() == ".a line that begins with a dot"


@pytest.mark.long
@pytest.mark.e2e
async def test_the_demonstration_explains_the_load_it_makes(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *DEMO,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=REPOSITORY,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    output = (await process.communicate())[0].decode()
    assert process.returncode == 0, output
    assert BURNER in output.partition("Suspects")[2]
    assert "a mail server of this demonstration got: [CRITICAL]" in output
    assert "a web server got: [CRITICAL]" in output
    assert "\x1b" not in output
    assert os.listdir(tmp_path) == []


@pytest.mark.long
@pytest.mark.e2e
async def test_the_demonstration_in_the_console_stays_until_it_is_stopped(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *DEMO,
        "--console",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=REPOSITORY,
        env={**os.environ, "TMPDIR": str(tmp_path), "COLUMNS": "2000"},
    )
    assert process.stdout is not None
    lines: list[str] = []
    while "stays until Ctrl-C" not in "".join(lines):
        line = await process.stdout.readline()
        assert line, "".join(lines)
        lines.append(line.decode())
    link = next(line for line in lines if "/login#link=" in line).strip()
    address, _, token = link.partition("/login#link=")
    async with httpx.AsyncClient(base_url=address, trust_env=False) as client:
        assert (await client.get("/login")).status_code == 200
        answer = await client.post("/api/v1/auth/session", json={"link": token})
        assert answer.status_code == 200, answer.text
    process.send_signal(signal.SIGINT)
    rest = (await process.communicate())[0].decode()
    assert process.returncode == 0, rest
    assert os.listdir(tmp_path) == []
