"""Ctrl-C and SIGTERM stop in order; a second one stops at once."""

import asyncio
import os
import signal
from collections.abc import Coroutine
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def until_stopped(work: Coroutine[Any, Any, None]) -> bool:
    """Runs `work`; a signal cancels it. True when it came to its own end.

    At a second signal the process exits at once, and the leash ends its children.
    """
    task = asyncio.create_task(work)

    def stop() -> None:
        if task.cancelling():
            os._exit(130)
        task.cancel()

    loop = asyncio.get_running_loop()
    handled = [number for number in _SIGNALS if not _is_under_nohup(number)]
    for number in handled:
        loop.add_signal_handler(number, stop)
    try:
        await task
    except asyncio.CancelledError:
        return False
    finally:
        for number in handled:
            loop.remove_signal_handler(number)
    return True


def _is_under_nohup(number: signal.Signals) -> bool:
    return number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN
