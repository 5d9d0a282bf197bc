"""Leaves a provider alone for a while when it keeps failing."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from services.explainer.llm.provider import NotAskedError, ProviderError

FAILURES_MAX: Final = 3
PAUSE_S: Final = 30.0
PAUSE_MAX_S: Final = 300.0


class Breaker:
    """Opens after a few failures in a row; then one call at a time may try whether it is well.

    Each failed trial doubles the pause, up to five minutes. A server that says how long to wait
    is left alone that long at once.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """Closed: calls pass. `now` tells seconds that never step back."""
        self._now = now
        self._failures = 0
        self._pause_s = PAUSE_S
        self._open_until_s = 0.0
        self._trying = False

    @property
    def is_open(self) -> bool:
        """Whether a call would be refused now."""
        return self._now() < self._open_until_s or (self._tripped and self._trying)

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """One call. What ends it other than `ProviderError` or success counts for nothing.

        Raises:
            NotAskedError: It is left alone for now.
        """
        if self.is_open:
            raise NotAskedError("left alone after failures")
        self._trying = True
        try:
            yield
            self._failures, self._pause_s, self._open_until_s = 0, PAUSE_S, 0.0
        except ProviderError as error:
            self._failed(error.retry_after_s)
            raise
        finally:
            self._trying = False

    @property
    def _tripped(self) -> bool:
        return self._failures >= FAILURES_MAX

    def _failed(self, retry_after_s: float) -> None:
        self._failures += 1
        if retry_after_s:
            self._open_until_s = self._now() + retry_after_s
        if self._tripped:
            self._open_until_s = max(self._open_until_s, self._now() + self._pause_s)
            self._pause_s = min(2 * self._pause_s, PAUSE_MAX_S)
