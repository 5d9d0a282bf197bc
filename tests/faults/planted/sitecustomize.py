"""Runs in each process of a drilled product: on SIGUSR1 it breaks it as a file says.

Python imports it at its start, from PYTHONPATH. The product itself knows nothing of it.
"""

import asyncio
import os
import signal
from pathlib import Path


def _hurt(number: int, frame: object) -> None:
    from tests.hurts import HURTS

    name = Path(os.environ["SENSUS_TEST_HURT"]).read_text()
    asyncio.get_running_loop().call_soon_threadsafe(HURTS[name])


if "SENSUS_TEST_HURT" in os.environ:
    signal.signal(signal.SIGUSR1, _hurt)
