"""Explanations as work of their own: begun by a stream or a consumer, ended by nobody but itself.

Single flight is a unique row in the database, so it holds over all replicas. The run that has the
lease writes frames; streams of the same process get them from its feed, all others read the store.
A run that dies stops renewing its lease and is taken over: see `Run` for what clients see then.
"""

import asyncio
import logging
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from typing import Final, Protocol
from uuid import UUID

from opentelemetry import trace

from mesh.clock import Clock
from mesh.deadline import detached
from mesh.drain import Drain
from mesh.errors import (
    FailedPrecondition,
    InvalidInput,
    NotFound,
    SensusError,
    Unavailable,
    Violation,
)
from mesh.telemetry import span, traceparent
from services.explainer import metrics
from services.explainer.evidence.sources import sharing
from services.explainer.explanations.stream import Feed, FrameFollower, Limits, Run
from services.explainer.model.explanation import Explanation, Lease, Record, State, Text, Verdict
from services.explainer.model.subjects import SubjectFacts, SubjectRef
from services.explainer.store.frames import Frames, OwnershipLostError
from services.explainer.store.leases import Leases, request_id_reused
from services.explainer.store.records import Records

_RETRY_SUBJECT_AFTER_S: Final = 5.0
_TAKE_OVER_AT_ONCE: Final = 4

logger = logging.getLogger(__name__)


class Subjects(Protocol):
    """Where subjects are looked up."""

    async def fetch(self, ref: SubjectRef) -> SubjectFacts:
        """The subject as it stands. Raises NotFound, or Unavailable while its owner is away."""
        ...


class SubjectExplainer(Protocol):
    """What makes an explanation of a subject."""

    async def explain(self, facts: SubjectFacts, run: Run) -> Explanation:
        """Tells its steps to `run`; never fails because a source or a language model fails."""
        ...


class Slots:
    """Counts places. A run keeps its place until it ends."""

    def __init__(self, places: int) -> None:
        """All of `places` are free."""
        self._free = places

    def take(self, wanted: int = 1) -> int:
        """Takes as many places as are free, at most `wanted`, and tells how many."""
        taken = max(0, min(wanted, self._free))
        self._free -= taken
        return taken

    def give_back(self, places: int = 1) -> None:
        """Frees places that were taken."""
        self._free += places


class Jobs:
    """Begins, follows, takes over and ends the explanations of one process."""

    def __init__(
        self,
        *,
        leases: Leases,
        records: Records,
        frames: Frames,
        subjects: Subjects,
        work: SubjectExplainer,
        clock: Clock,
        drain: Drain,
        limits: Limits,
    ) -> None:
        """Nothing runs until `open`, or `keep` finds something left behind."""
        self._leases = leases
        self._records = records
        self._frames = frames
        self._subjects = subjects
        self._work = work
        self._clock = clock
        self._drain = drain
        self._limits = limits
        self._room = Slots(limits.running_max)
        self._following = FrameFollower(frames, clock=clock, drain=drain, limits=limits)
        self._task_by_owner: dict[UUID, asyncio.Task[None]] = {}
        self._running_by_owner: dict[UUID, UUID] = {}

    async def open(
        self,
        ref: SubjectRef,
        *,
        facts: SubjectFacts | None = None,
        request_id: UUID | None = None,
        resume_after: int = 0,
        parent: str = "",
        anew: bool = False,
        unasked: bool = False,
    ) -> UUID:
        """The explanation of a subject in its present state, begun now unless it already was.

        Args:
            ref: What to explain.
            facts: The subject as it stands, when the caller has it; else it is looked up.
            request_id: Attaches to what it already stands for, whatever the state is now.
            resume_after: Last sequence the caller has seen.
            anew: Makes a new revision of what is finished; the older one is kept.
            unasked: Nobody waits for it: it may share what like ones gather at the same time.
            parent: Trace context of the work; by default that under which the subject was found.

        Raises:
            NotFound: There is no such subject.
            InvalidInput: INVALID_RESUME_SEQUENCE, there never was such a frame.
            AlreadyExists: REQUEST_ID_REUSED.
            Unavailable: The subject's owner or the database is away, or too much runs already.
        """
        if request_id and (known := await self._records.by_request(request_id)):
            return _attach(known, ref, request_id, resume_after)
        facts = facts or await self._subjects.fetch(ref)
        if resume_after:
            _check_resume(await self._records.by_subject(ref, facts.state), resume_after)
        places = await self._place(ref, facts.state)
        try:
            trail = parent or facts.traceparent or traceparent()
            found, lease = await self._leases.begin(
                ref, facts.state, request_id=request_id, traceparent=trail, anew=anew
            )
            if lease is not None and places:
                self._launch(lease, facts, unasked=unasked)
                places = 0
            elif lease is not None:  # what was known has just failed: whoever has room makes it
                await self._leases.release([lease.owner])
            return found
        finally:
            self._room.give_back(places)

    def follow(self, explanation_id: UUID, after: int = 0) -> AsyncGenerator[bytes | None]:
        """See `FrameFollower.follow`."""
        return self._following.follow(explanation_id, after)

    async def explain(self, facts: SubjectFacts, *, parent: str) -> State:
        """Explains what nobody asked for, and tells the final state once it is stored.

        What like subjects have in common is gathered once for all that come within a moment.

        Raises:
            As `open`; Unavailable: DRAINING, this process stops.
        """
        return await self.finished(
            await self.open(facts.ref, facts=facts, parent=parent, unasked=True)
        )

    async def finished(self, explanation_id: UUID) -> State:
        """Waits for the result, wherever it is made, and tells the final state."""
        return await self._following.ended(explanation_id)

    async def cancel(self, explanation_id: UUID, by: str) -> Record:
        """Ends an explanation: at once when it runs here, else when its process renews its lease.

        Args:
            explanation_id: What to end.
            by: Who wants it, for the log.

        Raises:
            NotFound: There is no such explanation.
            FailedPrecondition: EXPLANATION_FINISHED, it has another end.
        """
        lease = await self._leases.seize(explanation_id)
        if lease is not None:
            logger.info("cancelled", extra=_note(lease) | {"by": by})
            self._stop(explanation_id)
            await self._finish_cancelled(lease)
        record = await self._records.get(explanation_id)
        if record.state is not State.CANCELLED:
            message = "the explanation is finished: there is nothing to cancel"
            raise FailedPrecondition(message, reason="EXPLANATION_FINISHED")
        return record

    async def _finish_cancelled(self, lease: Lease) -> None:
        feed = Feed(await self._left_behind(lease))
        finish_us = self._clock.now_ms() * 1000
        with suppress(OwnershipLostError):
            await Run(lease, self._frames, feed).finish(
                cancelled(), trace_id=_trace_of(lease), finish_us=finish_us
            )

    def _stop(self, explanation_id: UUID) -> None:
        for owner, running in list(self._running_by_owner.items()):
            if running == explanation_id and (task := self._task_by_owner.get(owner)):
                task.cancel()

    async def keep(self) -> None:
        """Renews the leases of what runs here and takes over what died elsewhere, for ever."""
        while True:
            try:
                await self._renew()
                if not self._drain.started:
                    await self._adopt()
            except SensusError as error:
                logger.info("leases not renewed yet", extra={"cause": error.message})
            except Exception:
                logger.exception("unforeseen error while keeping the leases")
            await self._clock.sleep(self._limits.lease_s / 3)

    async def close(self) -> None:
        """Stops what runs, their language model calls included, and lets others take it over."""
        running = dict(self._task_by_owner)
        for task in running.values():
            task.cancel()
        await asyncio.gather(*running.values(), return_exceptions=True)
        with suppress(Unavailable):
            await self._leases.release(list(running))

    async def _place(self, ref: SubjectRef, state: str) -> int:
        """Takes a place; 0 when there is none and none is needed, as it is known already.

        It looks twice: places may be taken for a moment by what comes to nothing.
        """
        if places := self._room.take():
            return places
        known = await self._records.by_subject(ref, state)
        places = self._room.take()
        if not places and known is None:
            raise Unavailable("too many explanations run: try again", reason="TOO_MANY_JOBS")
        return places

    async def _renew(self) -> None:
        owners = set(self._task_by_owner)
        lost = owners - await self._leases.renew(list(owners)) if owners else set()
        for owner in lost & self._task_by_owner.keys():
            self._task_by_owner[owner].cancel()

    async def _adopt(self) -> None:
        places = self._room.take(_TAKE_OVER_AT_ONCE)
        try:
            leases = await self._leases.take_over(places) if places else []
            for lease in leases:
                logger.warning("taking over an explanation", extra=_note(lease))
                metrics.TAKEOVERS.inc()
                self._launch(lease, None, left_behind=await self._left_behind(lease))
                places -= 1
        finally:
            self._room.give_back(places)

    async def _left_behind(self, lease: Lease) -> list[bytes]:
        frames: list[bytes] = []
        while len(frames) < lease.last_sequence:
            more, _ = await self._frames.after(lease.explanation_id, len(frames))
            frames.extend(more)
        return frames

    def _launch(
        self,
        lease: Lease,
        facts: SubjectFacts | None,
        *,
        left_behind: Sequence[bytes] = (),
        unasked: bool = False,
    ) -> None:
        """Runs it in a place that was taken for it."""
        feed = Feed(left_behind)
        self._following.add(lease.explanation_id, feed)
        run = Run(lease, self._frames, feed)
        task = detached(
            self._do(run, facts, unasked=unasked), name=f"explain {lease.explanation_id}"
        )
        self._task_by_owner[lease.owner] = task
        self._running_by_owner[lease.owner] = lease.explanation_id
        metrics.JOBS_RUNNING.inc()
        task.add_done_callback(lambda ended: self._forget(lease, feed, ended))

    def _forget(self, lease: Lease, feed: Feed, ended: "asyncio.Task[None]") -> None:
        if not ended.cancelled() and (error := ended.exception()):
            logger.error("run died, to be taken over", exc_info=error, extra=_note(lease))
        metrics.JOBS_RUNNING.dec()
        self._room.give_back()
        self._task_by_owner.pop(lease.owner, None)
        self._running_by_owner.pop(lease.owner, None)
        self._following.remove(lease.explanation_id, feed)

    async def _do(self, run: Run, facts: SubjectFacts | None, *, unasked: bool) -> None:
        lease = run.lease
        named = {"explanation_id": str(lease.explanation_id), "subject_kind": lease.ref.kind.value}
        with span(
            "explain", parent=lease.traceparent, attributes=named, always_sample=True
        ) as opened:
            try:
                with sharing("unasked" if unasked else lease.explanation_id):
                    explanation = await self._made(run, facts)
                trace_id = _trace_id(opened)
                finish_us = self._clock.now_ms() * 1000
                await run.finish(explanation, trace_id=trace_id, finish_us=finish_us)
                metrics.observe(explanation, (finish_us - lease.create_us) / 1e6)
            except OwnershipLostError:
                logger.warning("another replica took the explanation over", extra=_note(lease))
            except SensusError as error:
                cause = {"reason": error.reason, "cause": error.message}
                logger.warning("explanation put off", extra=_note(lease) | cause)
                with suppress(Unavailable):
                    await self._leases.put_off(lease.owner, after_s=_RETRY_SUBJECT_AFTER_S)
            finally:
                await run.close()

    async def _made(self, run: Run, facts: SubjectFacts | None) -> Explanation:
        if run.lease.attempt > self._limits.attempts_max:
            return failed("the work was interrupted too often")
        try:
            if facts is None:
                facts = await self._subjects.fetch(run.lease.ref)
            return await self._work.explain(facts, run)
        except NotFound:
            return failed(f"the {run.lease.ref.kind} no longer exists")
        except (SensusError, OwnershipLostError):
            raise
        except Exception:
            error_id = uuid.uuid4().hex
            logger.exception("unforeseen error", extra=_note(run.lease) | {"error_id": error_id})
            return failed(f"internal error {error_id}")


def failed(why: str) -> Explanation:
    """An explanation that could not be given."""
    text = Text(root_cause="", mitigation="", summary=f"No explanation could be given: {why}.")
    return Explanation(state=State.FAILED, verdict=Verdict.NONE, text=text)


def cancelled() -> Explanation:
    """An explanation that somebody ended."""
    text = Text(root_cause="", mitigation="", summary="The explanation was cancelled.")
    return Explanation(state=State.CANCELLED, verdict=Verdict.NONE, text=text)


def _trace_of(lease: Lease) -> str:
    parts = lease.traceparent.split("-")
    return parts[1] if len(parts) == 4 else ""


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


def _note(lease: Lease) -> dict[str, str]:
    return {"explanation_id": str(lease.explanation_id), "subject_id": lease.ref.id}
