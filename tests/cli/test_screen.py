"""What a process says of itself goes on to nobody's harm when its reader is gone."""

import asyncio
import os
import subprocess
import sys

from tests.conftest import REPOSITORY

SAY = """
from pathlib import Path
from cli.processes.child import Event, State
from cli.render.screen import StartScreen, make_news_console
screen = StartScreen(make_news_console(), Path("/logs"))
for _ in range(3):
    screen.tell(Event(name="ingest", state=State.READY, detail="x" * 100_000))
print("not said either")
"""


async def test_reader_that_leaves_ends_no_supervisor() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SAY), stdout=writer, stderr=subprocess.PIPE, cwd=REPOSITORY
    )
    os.close(writer)
    _, errors = await process.communicate()
    assert (process.returncode, errors.decode()) == (0, "")
