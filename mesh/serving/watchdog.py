"""A thread that calls the own port and ends the process when nobody answers.

A server can die while its process lives: a loop of a library ends, the listening socket is closed,
the event loop hangs in a call. No task of the process notices all of that; a caller does.

What counts is time in which the process could have answered. A machine that is busy, a process
that was stopped or a laptop that slept must restart nothing. So a round counts no longer than it
was meant to last, and not the time for which the thread of the event loop was ready to run and
waited for a processor (`/proc/self/task/*/schedstat`, on Linux).

- No answer for `limit_s` of such time: the process ends. The default of 5 s is a hundred times
  what the event loop may be held, and with the restart still within the ten seconds in which a
  service must be back.
- The port refuses connections for `_REFUSED_S`: the process ends. A live server always listens.
- No descriptor or no memory is left for a call: as no answer. Connections of strangers are fewer
  than the descriptors, so it is a leak, and only a restart gives them back.
- A connection that is accepted and closed again is no sign of death: all places are taken.
"""

import errno
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NoReturn

from mesh.serving.own_call import OwnCall

EXIT_STATUS: Final = 70
"""EX_SOFTWARE of sysexits.h."""

_EVERY_S: Final = 0.5
_ANSWER_S: Final = 1.0
_REFUSED_S: Final = 1.5
_LAST_WORD_S: Final = 1.0
_FRAMES_SHOWN: Final = 15
_EXHAUSTED: Final = (errno.EMFILE, errno.ENOMEM, errno.ENOBUFS)

logger = logging.getLogger(__name__)


@contextmanager
def watched(call: OwnCall, limit_s: float) -> Iterator[None]:
    """Watches the process while the block runs on the thread of the event loop; 0 does not."""
    if not limit_s:
        yield
        return
    watchdog = _Watchdog(call, limit_s)
    watchdog.start()
    try:
        yield
    finally:
        watchdog.stop()


class _Watchdog(threading.Thread):
    def __init__(self, call: OwnCall, limit_s: float) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._call = call
        self._limit_s = limit_s
        self._stopped = threading.Event()
        self._loop_thread = threading.get_ident()
        self._schedule = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
        self._known_wait_s = 0.0

    def stop(self) -> None:
        self._stopped.set()
        self.join()
        self._call.close()

    def run(self) -> None:
        silent_s = refused_s = 0.0
        began_s, waited_s = time.monotonic(), self._waited_s()
        while not self._stopped.wait(_EVERY_S):
            problem = self._problem()
            now_s, now_waited_s = time.monotonic(), self._waited_s()
            lasted_s = min(now_s - began_s, _EVERY_S + _ANSWER_S)
            counted_s = max(0.0, lasted_s - (now_waited_s - waited_s))
            began_s, waited_s = now_s, now_waited_s
            refused_s = refused_s + counted_s if isinstance(problem, ConnectionRefusedError) else 0
            silent_s = silent_s + counted_s if _is_silence(problem) else 0
            if silent_s >= self._limit_s:
                self._end(f"no answer on its own port for {silent_s:.1f} s: {problem!r}")
            if refused_s >= _REFUSED_S:
                self._end(f"its own port refused connections for {refused_s:.1f} s")

    def _problem(self) -> OSError | MemoryError | None:
        try:
            self._call.listening(_ANSWER_S)
            self._call.ask(_ANSWER_S)
        except (OSError, MemoryError) as error:
            return error
        return None

    def _waited_s(self) -> float:
        """How long the thread of the event loop has waited for a processor, as far as is known."""
        with suppress(OSError, IndexError, ValueError):
            self._known_wait_s = int(self._schedule.read_text().split()[1]) / 1e9
        return self._known_wait_s

    def _end(self, cause: str) -> NoReturn:
        """Says why and ends the process, even if the log cannot be written to."""
        try:
            last_word = threading.Thread(target=self._report, args=(cause,), daemon=True)
            last_word.start()
            last_word.join(_LAST_WORD_S)
        finally:
            os._exit(EXIT_STATUS)

    def _report(self, cause: str) -> None:
        frame = sys._current_frames().get(self._loop_thread)
        stack = traceback.format_stack(frame)[-_FRAMES_SHOWN:] if frame else []
        note = {"cause": cause, "exit_status": EXIT_STATUS, "event_loop_at": "".join(stack)}
        logger.critical("the server is dead: the process ends", extra=note)


def _is_silence(problem: Exception | None) -> bool:
    if isinstance(problem, OSError) and problem.errno in _EXHAUSTED:
        return True
    return isinstance(problem, TimeoutError | MemoryError)
