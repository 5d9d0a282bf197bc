"""The running product and the foreign programs that talk to it."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.product import Door, started

REPOSITORY = Path(__file__).parents[2]
END_WITHIN_S = 10.0
RATES = ("ALERTS", "ANALYSIS", "METRICS", "TELEMETRY", "OTHER")


def program(*names: str) -> str:
    """The path of a foreign program by any of its names; skips where it cannot be had."""
    places = f"{REPOSITORY / '.peers' / 'bin'}:/usr/local/bin:/usr/bin:/bin"
    for name in names:
        if path := shutil.which(name) or shutil.which(name, path=places):
            return path
    pytest.skip(f"{names[0]} is not installed here; tools/get-peers.sh says how it can be had")


@asynccontextmanager
async def running(command: Sequence[str], log_file: Path) -> AsyncIterator[None]:
    """A foreign process for as long as the block lasts."""
    with log_file.open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
    try:
        yield
    finally:
        await _ended(process)


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Asks it to end; one that is asked in vain is killed."""
    if process.returncode is None:
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), END_WITHIN_S)
    except TimeoutError:
        process.kill()
        await process.wait()


@pytest.fixture(scope="session")
async def door(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    """The running product."""
    settings = {f"SENSUS_RATE_{kind}": "1000000" for kind in RATES}
    async with started(tmp_path_factory.mktemp("peers") / "data", settings=settings) as door:
        yield door
