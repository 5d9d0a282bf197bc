"""One held shard: deliveries in, scores off the event loop, checkpoints out."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from opentelemetry.trace import SpanKind

from mesh.clients import backoff
from mesh.clock import Clock
from mesh.errors import Conflict, Unavailable
from mesh.subscription import Amount, Credit
from mesh.telemetry import span
from services.detector import metrics
from services.detector.detectors.strictness import Strictness
from services.detector.model.anomalies import EpisodeEnd, Finding
from services.detector.model.checkpoints import Changes, Watched
from services.detector.model.metric_types import MetricTypes
from services.detector.model.model_life import Live
from services.detector.model.models import ActiveModel
from services.detector.model.rules import Rule
from services.detector.model.samples import Delivery, Labels, Samples
from services.detector.shards.announce import announced
from services.detector.shards.scoring import Outcome, ShardScorer
from services.detector.shards.watch import Watch
from services.detector.store import CheckpointStore

ANNOUNCED_AT_ONCE: Final = 100
"""Then the event loop gets its turn: a storm of anomalies must not hold up heartbeats."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardContext:
    """What all shards of a process share.

    Attributes:
        pool: Where the engine runs.
        model: Gives the model that is active now.
        shadow: Gives the model that scores in its shadow.
        seen: Takes what each model saw in a batch.
        training_rows_interval_s: Between two times that the training rows are stored while a
            model is active; without one they are stored with every checkpoint.
        rules: Gives the rules that are enabled now.
        types: Gives what senders say of their metrics.
        strictness: Gives what feedback asks of alarms, by series.
    """

    store: CheckpointStore
    pool: Executor
    model: Callable[[], ActiveModel | None]
    shadow: Callable[[], ActiveModel | None]
    seen: Callable[[Mapping[int, Live]], None]
    rules: Callable[[], Sequence[Rule]]
    types: Callable[[], MetricTypes]
    strictness: Callable[[], Mapping[int, Strictness]]
    clock: Clock
    batch_samples: int
    checkpoint_interval_s: float
    training_rows_interval_s: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """History that is gone: what comes next follows `cursor`."""

    cursor: int


class ShardWorker:
    """Processes one shard until it is asked to stop."""

    def __init__(
        self,
        scorer: ShardScorer,
        *,
        shard: int,
        terms: ShardContext,
        credit: Credit,
        labels_by_id: Mapping[int, Labels],
        committed: Callable[[int, Amount], None],
        watched: Watched | None = None,
    ) -> None:
        """Starts with nothing to do.

        Args:
            scorer: At the place of the last checkpoint.
            shard: Its number.
            terms: Shared by all shards.
            credit: Of the stream.
            labels_by_id: Series the stream has named so far; grows while the worker runs.
            committed: Called after each commit with the cursor and with what is out of memory.
            watched: By the last holder.
        """
        self.shard = shard
        self._scorer = scorer
        self._terms = terms
        self._credit = credit
        self._labels_by_id = labels_by_id
        self._committed = committed
        self._waiting: deque[Delivery | Skip] = deque()
        self._woken = asyncio.Event()
        self._stopping = False
        self._watch = Watch(watched)
        self._findings: list[Finding] = []
        self._ends: list[EpisodeEnd] = []
        self._held = Amount()
        self._checkpoint_s = self._kept_rows_s = terms.clock.monotonic_s()

    @property
    def series_count(self) -> int:
        """Series of the shard."""
        return self._scorer.series_count

    @property
    def warm_series_count(self) -> int:
        """Series past their own warm-up."""
        return self._scorer.warm_series_count

    @property
    def cursor(self) -> int:
        """The place in the log up to which all is scored."""
        return self._scorer.cursor

    def offer(self, delivery: Delivery) -> None:
        """Queues a delivery; the credit of the stream bounds the queue."""
        self._waiting.append(delivery)
        self._woken.set()

    def skip_to(self, cursor: int) -> None:
        """Queues a gap in the log."""
        self._waiting.append(Skip(cursor=cursor))
        self._woken.set()

    def beat(self, now_ms: int, lag: int) -> None:
        """Ingest lives: its clock, and what it has committed of the shard and nobody acked yet."""
        self._watch.beat(now_ms, lag)
        self._woken.set()

    def stop(self) -> None:
        """Ends `run` after a last checkpoint; what still waits is left to the next holder."""
        self._stopping = True
        self._woken.set()

    async def run(self) -> None:
        """Works until `stop`.

        Raises:
            ShardLost: Another holder has the shard; nothing may be written any more.
            Unavailable: A delivery does not fit the stream it came on.
        """
        while not self._stopping:
            await self._wait()
            await self._work()
        await self._checkpoint()

    def abandon(self) -> Amount:
        """Lets go of what was delivered and is not committed; tells how much that was."""
        free, self._held = self._held, Amount()
        for each in self._waiting:
            if isinstance(each, Delivery):
                free.add(each.amount)
        self._waiting.clear()
        return free

    async def _wait(self) -> None:
        if not self._waiting:
            due_s = self._checkpoint_s + self._terms.checkpoint_interval_s
            left_s = due_s - self._terms.clock.monotonic_s() if self._is_pending else None
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._woken.wait()
        self._woken.clear()

    async def _work(self) -> None:
        if self._waiting and isinstance(first := self._waiting[0], Skip):
            self._waiting.popleft()
            self._scorer.skip_to(first.cursor)
            self._watch.skipped()
        elif batch := self._take():
            await self._score(batch)
        elif self._watch.is_due and not self._stopping:
            await self._sweep()
        if self._is_checkpoint_due():
            await self._checkpoint()

    @property
    def _is_pending(self) -> bool:
        return self._scorer.dirty or self._held.rows > 0

    def _take(self) -> list[Delivery]:
        """The next deliveries, about `batch_samples` samples; those seen before are let go."""
        batch, samples, cursor = list[Delivery](), 0, self._scorer.cursor
        while self._waiting and samples < self._terms.batch_samples:
            delivery = self._waiting[0]
            if isinstance(delivery, Skip):
                break
            if batch and self._watch.is_break(delivery.commit_ms):
                break
            self._waiting.popleft()
            self._held.add(delivery.amount)
            if delivery.cursor > cursor:
                batch.append(delivery)
                samples, cursor = samples + len(delivery.samples), delivery.cursor
        return batch

    async def _score(self, batch: Sequence[Delivery]) -> None:
        links = [each for delivery in batch for each in delivery.traceparents]
        samples = Samples.concatenate([delivery.samples for delivery in batch])
        for delivery in batch:
            self._watch.scored(delivery.commit_ms)
        attributes = {"sensus.shard": self.shard, "messaging.batch.message_count": len(samples)}
        with span("process samples", kind=SpanKind.CONSUMER, links=links, attributes=attributes):
            outcome = await self._run_engine(samples, batch[-1].cursor)
        metrics.SAMPLES_PROCESSED.inc(len(samples))
        self._terms.seen(outcome.live)
        metrics.ALARMS_SILENCED.inc(outcome.silenced)
        metrics.SAMPLES_SCORED.inc(outcome.scored)
        self._ends.extend(outcome.ends)
        await self._announce(outcome.findings, links)

    async def _announce(self, findings: Sequence[Finding], links: Sequence[str]) -> None:
        for place, finding in enumerate(findings, start=1):
            self._findings.append(announced(finding, links) if finding.listed else finding)
            if place % ANNOUNCED_AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _sweep(self) -> None:
        """Looks for series that fell silent while the shard was watched."""
        self._watch.is_due = False
        rules, types = self._terms.rules(), self._terms.types()
        until_ms, since_ms = self._watch.until_ms, self._watch.since_ms

        def sweep() -> tuple[list[Finding], list[EpisodeEnd]]:
            self._scorer.use_rules(rules, types)
            return self._scorer.sweep(until_ms, since_ms)

        loop = asyncio.get_running_loop()
        found, ends = await loop.run_in_executor(self._terms.pool, sweep)
        self._ends.extend(ends)
        await self._announce(found, ())

    async def _run_engine(self, samples: Samples, cursor: int) -> Outcome:
        loop = asyncio.get_running_loop()
        started_s = self._terms.clock.monotonic_s()
        score = self._scoring(samples, cursor)
        try:
            outcome = await loop.run_in_executor(self._terms.pool, score)
        except LookupError as error:
            raise Unavailable(str(error), reason="DELIVERY_INVALID") from error
        metrics.SCORE_DURATION.observe(self._terms.clock.monotonic_s() - started_s)
        return outcome

    def _scoring(self, samples: Samples, cursor: int) -> Callable[[], Outcome]:
        """All that costs time by series or sample: what is asked now, then the batch."""
        terms, labels_by_id, since_ms = self._terms, self._labels_by_id, self._watch.since_ms
        model, shadow, rules = terms.model(), terms.shadow(), terms.rules()
        strictness, types = terms.strictness(), terms.types()

        def score() -> Outcome:
            self._scorer.use_model(model, shadow)
            self._scorer.use_rules(rules, types)
            self._scorer.use_strictness(strictness)
            return self._scorer.score(samples, cursor, labels_by_id, since_ms)

        return score

    def _is_checkpoint_due(self) -> bool:
        waited_s = self._terms.clock.monotonic_s() - self._checkpoint_s
        return bool(
            self._findings
            or self._ends
            or self._watch.unstored
            or waited_s >= self._terms.checkpoint_interval_s
            or self._credit.half_used
        )

    async def _checkpoint(self) -> None:
        if self._scorer.dirty or self._findings or self._ends or self._watch.unstored:
            changes = await self._changes()
            await self._commit(changes)
            self._scorer.committed()
            self._watch.committed(changes.watched)
            for finding in self._findings:
                severity, kind = finding.severity.name.lower(), finding.kind.name.lower()
                metrics.ANOMALIES.labels(severity, kind).inc()
        self._findings, self._ends = [], []
        self._checkpoint_s = self._terms.clock.monotonic_s()
        free, self._held = self._held, Amount()
        self._committed(self._scorer.cursor, free)

    async def _changes(self) -> Changes:
        loop = asyncio.get_running_loop()
        keep, watched = self._is_training_rows_due(), self._watch.so_far
        return await loop.run_in_executor(
            self._terms.pool,
            lambda: self._scorer.changes(
                self._findings, self._ends, with_training_rows=keep, watched=watched
            ),
        )

    def _is_training_rows_due(self) -> bool:
        now_s = self._terms.clock.monotonic_s()
        due = now_s - self._kept_rows_s >= self._terms.training_rows_interval_s
        if due:
            self._kept_rows_s = now_s
        return due or self._stopping or self._terms.model() is None

    async def _commit(self, changes: Changes) -> None:
        """Tries until it is stored: nothing goes on without it, and credit runs dry meanwhile."""
        async for _ in backoff():
            started_s = self._terms.clock.monotonic_s()
            try:
                await self._terms.store.commit(changes)
            except (Unavailable, Conflict) as error:
                metrics.CHECKPOINTS_FAILED.inc()
                note = {"shard": self.shard, "cause": error.message}
                logger.warning("checkpoint failed, trying again", extra=note)
            else:
                metrics.CHECKPOINT_DURATION.observe(self._terms.clock.monotonic_s() - started_s)
                return
