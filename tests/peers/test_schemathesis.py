"""The API description against the API: schemathesis sends what it allows and what it forbids."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from cli.product.tokens import user_token
from tests.peers.conftest import REPOSITORY, program
from tests.product import Door

pytestmark = [pytest.mark.peers, pytest.mark.timeout(600)]

SETTINGS = Path(__file__).with_name("schemathesis.toml")
FOLLOWED = ":watch|:train|:explain"
"""Streams that wait for what comes; a client that only asks and reads would wait as well."""
BINARY = "^/api/v1/write$|^(/api/v1/otlp)?/v1/"
"""Bodies of protobuf, which no schema describes."""


async def findings(location: str, *arguments: str) -> tuple[int, str]:
    """Exit status and output of one run; the status is 1 when anything was found."""
    places = REPOSITORY / ".peers" / "schemathesis" / "bin"
    process = await asyncio.create_subprocess_exec(
        program(str(places / "schemathesis"), "schemathesis"),
        f"--config-file={SETTINGS}",
        "run",
        location,
        "--checks=all",
        "--phases=coverage,fuzzing",
        "--max-examples=10",
        "--continue-on-failure",
        "--warnings=off",
        "--seed=1",
        f"--exclude-path-regex={FOLLOWED}|{BINARY}",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=SETTINGS.parent,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_the_description_is_true_for_who_may_do_all(door: Door) -> None:
    token = user_token(door.product.directory)
    status, output = await findings(
        f"{door.http.base_url}/openapi.json", f"--header=Authorization: Bearer {token}"
    )
    assert status == 0, output


async def test_the_description_is_true_for_a_stranger(door: Door) -> None:
    status, output = await findings(f"{door.http.base_url}/openapi.json")
    assert status == 0, output


async def test_a_planted_fault_is_found(door: Door, tmp_path: Path) -> None:
    async with httpx.AsyncClient(base_url=door.http.base_url, timeout=60) as http:
        document = (await http.get("/openapi.json")).json()
    health = document["components"]["schemas"]["HealthReport"]
    health["required"].append("planted")
    location = tmp_path / "openapi.json"
    location.write_text(json.dumps(document))
    status, output = await findings(
        str(location), f"--url={door.http.base_url}", "--include-path=/health"
    )
    assert status == 1, output
    assert "planted" in output
