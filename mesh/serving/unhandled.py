"""What nobody caught: an exception in a callback, a task or a thread of a library."""

import asyncio
import logging
import threading
from typing import Any

from mesh.metrics import UNHANDLED

logger = logging.getLogger(__name__)


def report_unhandled(loop: asyncio.AbstractEventLoop) -> None:
    """Logs and counts what ends outside of every handler of ours.

    It does not end the process: the worker or server that such an error kills does, and so does
    the watchdog when nothing answers any more.
    """
    loop.set_exception_handler(_in_loop)
    threading.excepthook = _in_thread


def _in_loop(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    where = "task" if "task" in context or "future" in context else "callback"
    _report(where, str(context.get("message", "")), context.get("exception"))


def _in_thread(arguments: threading.ExceptHookArgs) -> None:
    name = arguments.thread.name if arguments.thread else "unknown"
    if arguments.exc_type is not SystemExit:
        _report("thread", f"thread {name} ended", arguments.exc_value)


def _report(where: str, text: str, error: BaseException | None) -> None:
    UNHANDLED.labels(where).inc()
    logger.error("unhandled error", exc_info=error, extra={"where": where, "detail": text})
