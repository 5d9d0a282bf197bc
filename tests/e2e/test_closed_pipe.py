"""`sensus tail | head -1`: a reader that leaves ends a command, and nothing is thrown at people."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import pytest

from tests.cli.test_commands import REPOSITORY, SENSUS
from tests.e2e.test_alert_to_explanation import alert_named, explanation_of, now_text
from tests.product import Door, webhook

pytestmark = pytest.mark.e2e

HEAD = ["bash", "-c", 'set -o pipefail; "$@" | head -n 1', "head"]


@pytest.fixture(scope="module")
async def alert_id(door: Door) -> str:
    """An alert that is explained."""
    await post(door, "Piped")
    found = str((await alert_named(door, "Piped"))["alertId"])
    await explanation_of(door, found)
    return found


@asynccontextmanager
async def happening(door: Door, command: str) -> AsyncIterator[None]:
    """Alerts come while the block runs, for a command that follows them."""

    async def post_more() -> None:
        for number in count():
            await post(door, f"{command}{number}")
            await asyncio.sleep(1)

    posting = asyncio.create_task(post_more()) if command.startswith("tail") else None
    try:
        yield
    finally:
        if posting:
            posting.cancel()
            await asyncio.wait([posting])


async def post(door: Door, name: str) -> None:
    """An alert that begins now."""
    body = webhook(name, starts_at=now_text(), severity="info", host="pipe")
    answer = await door.http.post("/api/v1/alerts", json=body)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("command", ["tail", "tail --json", "explain --all", "incidents", "token"])
async def test_command_that_nobody_reads_ends_quietly(
    door: Door, alert_id: str, command: str
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    async with happening(door, command):
        status, errors = await run(words(door, alert_id, command), writer)
    assert (status, quiet(errors)) == (1, True), errors


@pytest.mark.parametrize("command", ["tail", "explain"])
async def test_reader_that_leaves_after_a_line_ends_the_command_quietly(
    door: Door, alert_id: str, command: str
) -> None:
    reader, writer = os.pipe()
    async with happening(door, command):
        _, errors = await run([*HEAD, *words(door, alert_id, command)], writer)
    with os.fdopen(reader) as output:
        assert output.read().count("\n") == 1
    assert quiet(errors), errors


def words(door: Door, alert_id: str, command: str) -> list[str]:
    """A command of this product, about the alert where it is about one."""
    about = [alert_id] if command.startswith("explain") else []
    return [*SENSUS, *command.split(), *about, "--data-dir", str(door.product.directory.path)]


async def run(words: list[str], stdout: int) -> tuple[int, str]:
    """Exit status and errors of a command that writes to `stdout`, which is closed after it."""
    process = await asyncio.create_subprocess_exec(
        *words, stdout=stdout, stderr=asyncio.subprocess.PIPE, cwd=REPOSITORY
    )
    os.close(stdout)
    _, errors = await process.communicate()
    return process.returncode or 0, errors.decode()


def quiet(errors: str) -> bool:
    """Whether nothing is said but how to go on."""
    return all(line.startswith("go on with: ") for line in errors.splitlines())
