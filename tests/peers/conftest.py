"""The running product and the foreign programs that talk to it."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.product import Door, started

REPOSITORY = Path(__file__).parents[2]


def program(*names: str) -> str:
    """The path of a foreign program by any of its names; skips where it cannot be had."""
    places = f"{REPOSITORY / '.peers' / 'bin'}:/usr/local/bin:/usr/bin:/bin"
    for name in names:
        if path := shutil.which(name) or shutil.which(name, path=places):
            return path
    pytest.skip(f"{names[0]} is not installed here; tools/get-peers.sh says how it can be had")


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@asynccontextmanager
async def running(command: Sequence[str], log_file: Path) -> AsyncIterator[None]:
    """A foreign process for as long as the block lasts."""
    with log_file.open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
    try:
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@pytest.fixture(scope="session")
async def door(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    """The running product."""
    async with started(tmp_path_factory.mktemp("peers") / "data") as door:
        yield door
