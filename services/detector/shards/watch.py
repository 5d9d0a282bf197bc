"""Since when it is known what series send, so that their silence means something."""

from typing import Final

from services.detector.model.checkpoints import Watched

BREAK_MS: Final = 30_000
"""Ingest that gave no sign of life for longer may have taken no samples meanwhile.

Half the shortest silence that is ever announced: shorter outages cannot fill it.
"""
STORED_EVERY_MS: Final = 10_000


class Watch:
    """Signs of life of ingest: what it commits, and heartbeats while nothing waits.

    Times are on its clock.
    """

    def __init__(self, stored: Watched | None) -> None:
        """Goes on where the last holder of the shard ended, unless a break follows."""
        self._stored = stored
        self._since_ms = stored.since_ms if stored else 0
        self._until_ms = stored.until_ms if stored else 0
        self._is_broken = stored is None
        self.is_due = False

    @property
    def since_ms(self) -> int:
        """Since when there was no break."""
        return self._since_ms

    @property
    def until_ms(self) -> int:
        """The last sign of life."""
        return self._until_ms

    @property
    def unstored(self) -> Watched | None:
        """What is to be stored, if it is time."""
        if self._until_ms - (self._stored.until_ms if self._stored else 0) < STORED_EVERY_MS:
            return None
        return self.so_far

    @property
    def so_far(self) -> Watched | None:
        """What was watched; None before the first sign."""
        if not self._until_ms:
            return None
        return Watched(since_ms=self._since_ms, until_ms=self._until_ms)

    def committed(self, watched: Watched | None) -> None:
        """This is stored."""
        self._stored = watched

    def is_break(self, sign_ms: int) -> bool:
        """Whether the time before this sign is unknown: a pause, or a clock that was set."""
        return self._is_broken or abs(sign_ms - self._until_ms) > BREAK_MS

    def skipped(self) -> None:
        """What was committed is gone: nothing is known of the time before the next sign."""
        self._is_broken = True

    def scored(self, commit_ms: int) -> None:
        """Samples that ingest committed then are scored now."""
        self._sign(commit_ms)

    def beat(self, server_ms: int, lag_samples: int) -> None:
        """A heartbeat, and how many samples of the shard ingest has that nobody acked yet.

        While there are any it says nothing: what they tell comes first.
        """
        if not lag_samples:
            self._sign(server_ms)
        self.is_due = True

    def _sign(self, sign_ms: int) -> None:
        if self.is_break(sign_ms):
            self._since_ms, self._until_ms, self._is_broken = sign_ms, sign_ms, False
        self._until_ms = max(self._until_ms, sign_ms)
