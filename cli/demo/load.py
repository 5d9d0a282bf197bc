"""A real load: one busy process per core."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

from cli.processes import process
from cli.processes.process import Program

_BUSY = "import os; os.nice(10)\nwhile True: pass"


@asynccontextmanager
async def cpu_load(log_file: Path) -> AsyncIterator[list[int]]:
    """Keeps every core busy inside, at low priority; yields the pids."""
    program = Program(command=(sys.executable, "-IS", "-c", _BUSY), log_file=log_file)
    burners: list[asyncio.subprocess.Process] = []
    try:
        while len(burners) < (psutil.cpu_count() or 1):
            burners.append(await process.spawn(program))
        yield [burner.pid for burner in burners]
    finally:
        for burner in burners:
            await process.stop(burner, ((signal.SIGTERM, 5.0),))
