"""Explanations as work of their own: begun by a stream or a consumer, ended by nobody but itself.

Single flight is a unique row in the database, so it holds over all replicas. The run that has the
claim writes frames; streams of the same process get them from its feed, all others read the store.
A run that dies stops renewing its lease and is taken over: see `Run` for what clients see then.
"""

import asyncio
import logging
import uuid
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

from opentelemetry import trace

from mesh.calls import detached
from mesh.clock import Clock
from mesh.drain import Drain
from mesh.errors import InvalidInput, NotFound, SensusError, Unavailable, Violation
from mesh.telemetry import span, traceparent
from services.explainer import metrics
from services.explainer.explanation import (
    Claim,
    Explanation,
    Record,
    State,
    SubjectFacts,
    SubjectRef,
    Text,
    Verdict,
)
from services.explainer.feed import Feed
from services.explainer.run import Run
from services.explainer.store import Claims, Frames, OwnershipLostError, Records, request_id_reused

_RETRY_SUBJECT_AFTER_S: Final = 5.0
_TAKE_OVER_AT_ONCE: Final = 4

logger = logging.getLogger(__name__)


class Subjects(Protocol):
    """Where subjects are looked up."""

    async def fetch(self, ref: SubjectRef) -> SubjectFacts:
        """The subject as it stands. Raises NotFound, or Unavailable while its owner is away."""
        ...


class Work(Protocol):
    """What makes an explanation of a subject."""

    async def explain(self, facts: SubjectFacts, run: Run) -> Explanation:
        """Tells its steps to `run`; never fails because a source or a language model fails."""
        ...


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


class Jobs:
    """Begins, follows, takes over and ends the explanations of one process."""

    def __init__(
        self,
        *,
        claims: Claims,
        records: Records,
        frames: Frames,
        subjects: Subjects,
        work: Work,
        clock: Clock,
        drain: Drain,
        limits: Limits,
    ) -> None:
        """Nothing runs until `open`, or `keep` finds something left behind."""
        self._claims = claims
        self._records = records
        self._frames = frames
        self._subjects = subjects
        self._work = work
        self._clock = clock
        self._drain = drain
        self._limits = limits
        self._feed_by_id: dict[UUID, Feed] = {}
        self._task_by_owner: dict[UUID, asyncio.Task[None]] = {}

    async def open(
        self,
        ref: SubjectRef,
        *,
        request_id: UUID | None = None,
        resume_after: int = 0,
        parent: str = "",
    ) -> UUID:
        """The explanation of a subject in its present state, begun now unless it already was.

        Args:
            ref: What to explain.
            request_id: Attaches to what it already stands for, whatever the state is now.
            resume_after: Last sequence the caller has seen.
            parent: Trace context of the work; by default that under which the subject was found.

        Raises:
            NotFound: There is no such subject.
            InvalidInput: INVALID_RESUME_SEQUENCE, there never was such a frame.
            AlreadyExists: REQUEST_ID_REUSED.
            Unavailable: The subject's owner or the database is away, or too much runs already.
        """
        if request_id and (known := await self._records.by_request(request_id)):
            return _attach(known, ref, request_id, resume_after)
        facts = await self._subjects.fetch(ref)
        if resume_after:
            _check_resume(await self._records.by_subject(ref, facts.state), resume_after)
        await self._check_room(ref, facts.state)
        trail = parent or facts.traceparent or traceparent()
        found, claim = await self._claims.begin(
            ref, facts.state, request_id=request_id, traceparent=trail
        )
        if claim is not None:
            self._launch(claim, facts)
        return found

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

    async def finished(self, explanation_id: UUID) -> State:
        """Waits for the result, wherever it is made, and tells the final state."""
        async for _ in self.follow(explanation_id):
            pass
        return (await self._records.get(explanation_id)).state

    async def keep(self) -> None:
        """Renews the leases of what runs here and takes over what died elsewhere, for ever."""
        while True:
            with suppress(Unavailable):
                await self._renew()
                if not self._drain.started:
                    await self._adopt()
            await self._clock.sleep(self._limits.lease_s / 3)

    async def close(self) -> None:
        """Stops what runs, their language model calls included, and lets others take it over."""
        running = dict(self._task_by_owner)
        for task in running.values():
            task.cancel()
        await asyncio.gather(*running.values(), return_exceptions=True)
        with suppress(Unavailable):
            await self._claims.release(list(running))

    async def _ends_soon(self, explanation_id: UUID) -> bool:
        """Whether it is made here and needs no more than the time a drain leaves it."""
        feed = self._feed_by_id.get(explanation_id)
        if feed is None:
            return False
        last = feed.last_sequence
        await feed.news(last, at_most_s=self._limits.drain_wait_s)
        return feed.last_sequence > last

    async def _check_room(self, ref: SubjectRef, state: str) -> None:
        if len(self._task_by_owner) < self._limits.running_max:
            return
        if await self._records.by_subject(ref, state) is None:
            raise Unavailable("too many explanations run: try again", reason="TOO_MANY_JOBS")

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

    async def _renew(self) -> None:
        owners = set(self._task_by_owner)
        lost = owners - await self._claims.renew(list(owners)) if owners else set()
        for owner in lost & self._task_by_owner.keys():
            self._task_by_owner[owner].cancel()

    async def _adopt(self) -> None:
        room = self._limits.running_max - len(self._task_by_owner)
        for claim in await self._claims.take_over(min(room, _TAKE_OVER_AT_ONCE)):
            logger.warning("taking over an explanation", extra=_note(claim))
            metrics.TAKEOVERS.inc()
            self._launch(claim, None, await self._left_behind(claim))

    async def _left_behind(self, claim: Claim) -> list[bytes]:
        frames: list[bytes] = []
        while len(frames) < claim.last_sequence:
            more, _ = await self._frames.after(claim.explanation_id, len(frames))
            frames.extend(more)
        return frames

    def _launch(
        self, claim: Claim, facts: SubjectFacts | None, left_behind: list[bytes] | None = None
    ) -> None:
        feed = Feed(left_behind or ())
        self._feed_by_id[claim.explanation_id] = feed
        run = Run(claim, self._frames, feed)
        task = detached(self._do(run, facts), name=f"explain {claim.explanation_id}")
        self._task_by_owner[claim.owner] = task
        metrics.JOBS_RUNNING.inc()
        task.add_done_callback(lambda _: self._forget(claim, feed))

    def _forget(self, claim: Claim, feed: Feed) -> None:
        metrics.JOBS_RUNNING.dec()
        self._task_by_owner.pop(claim.owner, None)
        if self._feed_by_id.get(claim.explanation_id) is feed:
            del self._feed_by_id[claim.explanation_id]

    async def _do(self, run: Run, facts: SubjectFacts | None) -> None:
        claim = run.claim
        named = {"explanation_id": str(claim.explanation_id), "subject_kind": claim.ref.kind.value}
        with span(
            "explain", parent=claim.traceparent, attributes=named, always_sample=True
        ) as opened:
            try:
                explanation = await self._made(run, facts)
                trace_id = _trace_id(opened)
                finish_us = self._clock.now_ms() * 1000
                await run.finish(explanation, trace_id=trace_id, finish_us=finish_us)
                metrics.observe(explanation, (finish_us - claim.create_us) / 1e6)
            except OwnershipLostError:
                logger.warning("another replica took the explanation over", extra=_note(claim))
            except SensusError as error:
                cause = {"reason": error.reason, "cause": error.message}
                logger.warning("explanation put off", extra=_note(claim) | cause)
                with suppress(Unavailable):
                    await self._claims.release([claim.owner], after_s=_RETRY_SUBJECT_AFTER_S)

    async def _made(self, run: Run, facts: SubjectFacts | None) -> Explanation:
        if run.claim.attempt > self._limits.attempts_max:
            return failed("the work was interrupted too often")
        try:
            if facts is None:
                facts = await self._subjects.fetch(run.claim.ref)
            return await self._work.explain(facts, run)
        except NotFound:
            return failed(f"the {run.claim.ref.kind} no longer exists")
        except (SensusError, OwnershipLostError):
            raise
        except Exception:
            error_id = uuid.uuid4().hex
            logger.exception("unforeseen error", extra=_note(run.claim) | {"error_id": error_id})
            return failed(f"internal error {error_id}")


def failed(why: str) -> Explanation:
    """An explanation that could not be given."""
    text = Text(root_cause="", mitigation="", summary=f"No explanation could be given: {why}.")
    return Explanation(state=State.FAILED, verdict=Verdict.NONE, text=text)


def _trace_id(opened: trace.Span) -> str:
    context = opened.get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else ""


def _attach(known: Record, ref: SubjectRef, request_id: UUID, resume_after: int) -> UUID:
    if known.ref != ref:
        raise request_id_reused(request_id)
    _check_resume(known, resume_after)
    return known.explanation_id


def _check_resume(record: Record | None, resume_after: int) -> None:
    last = record.last_sequence if record else 0
    if resume_after > last:
        should = f"be a sequence that was received: the last one is {last}"
        raise InvalidInput(
            f"resume_after_sequence must {should}",
            reason="INVALID_RESUME_SEQUENCE",
            violations=[Violation("resume_after_sequence", f"must {should}")],
        )


def _note(claim: Claim) -> dict[str, str]:
    return {"explanation_id": str(claim.explanation_id), "subject_id": claim.ref.id}
