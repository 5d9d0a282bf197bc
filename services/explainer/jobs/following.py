"""Streams that follow an explanation, whichever process makes it."""

from collections.abc import AsyncGenerator
from uuid import UUID

from mesh.clock import Clock
from mesh.drain import Drain
from mesh.errors import Unavailable
from services.explainer.jobs.feed import Feed
from services.explainer.jobs.limits import Limits
from services.explainer.store import Frames


class Following:
    """Gives frames from the feed of a run in this process, else from the store."""

    def __init__(self, frames: Frames, *, clock: Clock, drain: Drain, limits: Limits) -> None:
        """Knows no run yet."""
        self._frames = frames
        self._clock = clock
        self._drain = drain
        self._limits = limits
        self._feed_by_id: dict[UUID, Feed] = {}

    def add(self, explanation_id: UUID, feed: Feed) -> None:
        """From now on it is followed from `feed`."""
        self._feed_by_id[explanation_id] = feed

    def remove(self, explanation_id: UUID, feed: Feed) -> None:
        """The run of `feed` has ended; another one of the same explanation stays."""
        if self._feed_by_id.get(explanation_id) is feed:
            del self._feed_by_id[explanation_id]

    async def follow(self, explanation_id: UUID, after: int = 0) -> AsyncGenerator[bytes | None]:
        """The encoded frames after a sequence up to the result; None for each quiet while.

        Raises:
            NotFound: There is no such explanation.
            Unavailable: DRAINING, this process stops: follow it on another one.
        """
        told_s = self._clock.monotonic_s()
        while True:
            frames, ended = await self._next(explanation_id, after)
            for frame in frames:
                yield frame
            if ended:
                return
            if frames:
                after += len(frames)
                told_s = self._clock.monotonic_s()
                continue
            if self._drain.started and not await self._ends_soon(explanation_id):
                told = "this server stops: resume with the same request_id on another one"
                raise Unavailable(told, reason="DRAINING")
            await self._news(explanation_id, after)
            if self._clock.monotonic_s() - told_s >= self._limits.keepalive_s:
                yield None
                told_s = self._clock.monotonic_s()

    async def _ends_soon(self, explanation_id: UUID) -> bool:
        """Whether it is made here and needs no more than the time a drain leaves it."""
        feed = self._feed_by_id.get(explanation_id)
        if feed is None:
            return False
        last = feed.last_sequence
        await feed.news(last, at_most_s=self._limits.drain_wait_s)
        return feed.last_sequence > last

    async def _next(self, explanation_id: UUID, after: int) -> tuple[list[bytes], bool]:
        feed = self._feed_by_id.get(explanation_id)
        if feed is not None:
            return feed.after(after), feed.finished
        return await self._frames.after(explanation_id, after)

    async def _news(self, explanation_id: UUID, after: int) -> None:
        feed = self._feed_by_id.get(explanation_id)
        if feed is not None:
            await feed.news(after, at_most_s=self._limits.poll_s)
        else:
            await self._clock.sleep(self._limits.poll_s)
