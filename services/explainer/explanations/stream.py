"""The frames of explanations: written by one run, followed by streams of any process."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from mesh.clock import Clock
from mesh.drain import Drain
from mesh.errors import Unavailable
from services.explainer.convert.answers import encode_explanation, encode_frame, encode_result
from services.explainer.model.explanation import Explanation, Lease, State
from services.explainer.model.frames import Frame
from services.explainer.store.frames import FinalState, Frames

UNWATCHED_S: Final = 2.0
"""Frames that no stream of this process reads are written that late: others may read the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of the jobs of one process.

    Attributes:
        running_max: Runs at once; more are refused.
        attempts_max: Runs of one explanation, the first included, before it is given up.
        lease_s: A run that is silent that long is taken over.
        keepalive_s: A stream without news says so that often.
        poll_s: How often a stream looks at a run of another process.
        drain_wait_s: Silence of a run after which a stream that drains gives it up.
    """

    running_max: int = 64
    attempts_max: int = 5
    lease_s: float = 15.0
    keepalive_s: float = 5.0
    poll_s: float = 0.25
    drain_wait_s: float = 0.5


class Feed:
    """Holds each frame once, however many streams read it; a slow reader costs nothing more."""

    def __init__(self, frames: Sequence[bytes] = ()) -> None:
        """`frames` are those that an earlier run left."""
        self._frames = list(frames)
        self._changed = asyncio.Event()
        self.wanted = asyncio.Event()
        self.ended: State | None = None

    @property
    def last_sequence(self) -> int:
        """Sequence of the last frame; 0 before the first."""
        return len(self._frames)

    def after(self, sequence: int) -> list[bytes]:
        """All frames that follow `sequence`."""
        return self._frames[sequence:]

    def extend(self, frames: Sequence[bytes], *, ended: State | None = None) -> None:
        """Adds frames that are durable, and wakes the readers; `ended` with the last ones."""
        self._frames.extend(frames)
        self.ended = ended
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def news(self, sequence: int, *, at_most_s: float) -> None:
        """Returns when there is a frame after `sequence`, at the latest after `at_most_s`."""
        if len(self._frames) > sequence:
            return
        try:
            async with asyncio.timeout(at_most_s):
                await self._changed.wait()
        except TimeoutError:
            return


class Run:
    """Writes under one lease. A frame that a stream has shown never changes, whoever runs next.

    Frames are durable before they are shown. Those that come while others are written go together,
    and while no stream of this process reads, so do those of a while: of an explanation that nobody
    watches, and that is made within that while, the result is its only frame.

    A run that takes over goes on after the last stored frame and tells its stages anew; clients see
    a stage begin twice, and no sequence twice.
    """

    def __init__(self, lease: Lease, frames: Frames, feed: Feed) -> None:
        """Continues after the frames that `feed` already has."""
        self.lease = lease
        self._frames = frames
        self._feed = feed
        self._pending: list[Frame] = []
        self._ending = False
        self._writing: asyncio.Task[None] | None = None

    @property
    def explanation_id(self) -> UUID:
        """What is run."""
        return self.lease.explanation_id

    async def emit(self, *frames: Frame) -> None:
        """Takes frames, to be shown as soon as they are durable, those of one call together.

        Raises:
            OwnershipLostError: Another run has taken over, as writing earlier ones has shown.
            Unavailable: The database is away, likewise.
        """
        self._pending.extend(frames)
        if self._writing is not None and self._writing.done():
            self._writing.result()
            self._writing = None
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())

    async def finish(self, explanation: Explanation, *, trace_id: str, finish_us: int) -> None:
        """Commits the result, with all frames before it that a stream waits for.

        Raises:
            OwnershipLostError: Another run has taken over.
            Unavailable: The database is away.
        """
        watched = self._feed.wanted.is_set()
        self._ending = True
        self._feed.wanted.set()
        if self._writing is not None:
            await self._writing
        result, headline = encode_explanation(
            self.lease, explanation, trace_id=trace_id, finish_us=finish_us
        )
        frames = self._encoded(watched=watched) if watched or self._feed.last_sequence else []
        last = self._feed.last_sequence
        head = encode_result(self.explanation_id, last + len(frames) + 1, result)
        ending = FinalState(
            state=explanation.state,
            verdict=explanation.verdict,
            result=result,
            headline=headline,
            trace_id=trace_id,
        )
        owner = self.lease.owner
        await self._frames.finish(self.explanation_id, owner, last, [*frames, head], ending)
        self._feed.extend([*frames, head + result], ended=explanation.state)

    async def close(self) -> None:
        """Writes nothing more."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)

    async def _write(self) -> None:
        """Writes what is there once a stream wants it, until nothing is left."""
        with suppress(TimeoutError):
            async with asyncio.timeout(UNWATCHED_S):
                await self._feed.wanted.wait()
        while self._pending and not self._ending:
            last = self._feed.last_sequence
            frames = self._encoded(watched=self._feed.wanted.is_set())
            await self._frames.append(self.explanation_id, self.lease.owner, last, frames)
            self._feed.extend(frames)

    def _encoded(self, *, watched: bool) -> list[bytes]:
        """What is pending, numbered and taken."""
        frames, self._pending = self._pending, []
        return [
            encode_frame(self.explanation_id, sequence, frame, with_samples=watched)
            for sequence, frame in enumerate(frames, start=self._feed.last_sequence + 1)
        ]


class FrameFollower:
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

    async def ended(self, explanation_id: UUID) -> State:
        """Waits for the result, wherever it is made, and tells the final state; reads no frame.

        Raises:
            NotFound: There is no such explanation.
            Unavailable: DRAINING, this process stops: wait for it on another one.
        """
        while (state := await self._state(explanation_id)) is State.RUNNING:
            if self._drain.started and not await self._ends_soon(explanation_id):
                raise _draining()
            feed = self._feed_by_id.get(explanation_id)
            await self._news(explanation_id, feed.last_sequence if feed else 0)
        return state

    async def _state(self, explanation_id: UUID) -> State:
        feed = self._feed_by_id.get(explanation_id)
        if feed is not None:
            return feed.ended or State.RUNNING
        return await self._frames.state(explanation_id)

    async def follow(self, explanation_id: UUID, after: int = 0) -> AsyncGenerator[bytes | None]:
        """The encoded frames after a sequence up to the result; None for each quiet while.

        Raises:
            NotFound: There is no such explanation.
            Unavailable: DRAINING, this process stops: follow it on another one.
        """
        spoke_s = self._clock.monotonic_s()
        while True:
            frames, ended = await self._next(explanation_id, after)
            for frame in frames:
                yield frame
            if ended:
                return
            if frames:
                after += len(frames)
                spoke_s = self._clock.monotonic_s()
                continue
            if self._drain.started and not await self._ends_soon(explanation_id):
                raise _draining()
            await self._news(explanation_id, after)
            if self._clock.monotonic_s() - spoke_s >= self._limits.keepalive_s:
                yield None
                spoke_s = self._clock.monotonic_s()

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
            feed.wanted.set()
            return feed.after(after), feed.ended is not None
        return await self._frames.after(explanation_id, after)

    async def _news(self, explanation_id: UUID, after: int) -> None:
        feed = self._feed_by_id.get(explanation_id)
        if feed is not None:
            await feed.news(after, at_most_s=self._limits.poll_s)
        else:
            await self._clock.sleep(self._limits.poll_s)


def _draining() -> Unavailable:
    message = "this server stops: resume with the same request_id on another one"
    return Unavailable(message, reason="DRAINING")
