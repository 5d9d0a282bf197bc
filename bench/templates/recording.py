"""Keeps what a program logs: each line with the statement that wrote it."""

import ast
import functools
import itertools
import linecache
import logging
import random
import re
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

LINES = 2000
"""At most, of a program."""
WRAPPERS = {
    "_log",
    "log",
    "logline",
    "_log_info",
    "_log_debug",
    "info",
    "debug",
    "warning",
    "error",
}
"""Functions that log what their callers say."""
chance = random.Random(13)
DIRECTIVE = re.compile(r"%(\(\w+\))?[-+ #0]*[\d.*]*[a-zA-Z]|\{[^}]*\}")


class Kept(logging.Handler):
    """The lines of a program."""

    def __init__(self) -> None:
        """Has none yet."""
        super().__init__(logging.DEBUG)
        self.lines = list[tuple[str, str]]()

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps one, if a text can tell its statement."""
        if len(self.lines) < LINES:
            place = _place(record)
            if place:
                self.lines.append((place, record.getMessage()))


def _place(record: logging.LogRecord) -> str:
    """Which statement wrote a line, and its message where the arguments stand apart.

    "" when it wrote a text that was made elsewhere, or has not a word of its own.
    """
    frame: Any = sys._getframe(2)
    while frame and (frame.f_code.co_filename, frame.f_lineno) != (record.pathname, record.lineno):
        frame = frame.f_back
    while frame and frame.f_code.co_name in WRAPPERS:
        if isinstance(frame.f_locals.get("msg"), list):
            return ""
        frame = frame.f_back
    if not frame or not _has_words(frame.f_code, frame.f_lasti):
        return ""
    place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
    return f"{place} {record.msg}" if record.args else place


@functools.cache
def _has_words(code: Any, instruction: int) -> bool:
    """Whether a call writes its message itself."""
    first, last, begin, end = next(itertools.islice(code.co_positions(), instruction // 2, None))
    lines = [linecache.getline(code.co_filename, each) for each in range(first, last + 1)]
    lines[-1] = lines[-1].encode()[:end].decode()
    lines[0] = lines[0].encode()[begin:].decode()
    literals = [
        each.value
        for each in ast.walk(ast.parse("(" + "".join(lines) + ")"))
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    ]
    return any(re.search("[A-Za-z]{2}", DIRECTIVE.sub(" ", each)) for each in literals)


def word() -> str:
    return "".join(chance.choice("abcdefghijklmnoprstuvw") for _ in range(chance.randint(3, 9)))


def until_full(kept: Kept, work: Callable[[], Any], most_s: float = 20.0) -> None:
    end = time.monotonic() + most_s
    while len(kept.lines) < LINES and time.monotonic() < end:
        with suppress(Exception):
            work()
