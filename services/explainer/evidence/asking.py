"""Asks sources, each in a task of its own: one that fails or is late is missing, no more."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from mesh.deadline import set_time_remaining
from mesh.errors import DeadlineExceeded, SensusError
from mesh.telemetry import span
from services.explainer import metrics
from services.explainer.evidence.sources import Findings, Source
from services.explainer.model.subjects import SubjectFacts

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one source said; `failed` when it could not."""

    source: Source
    findings: Findings
    failed: bool = False


@asynccontextmanager
async def asking(
    sources: Sequence[Source], facts: SubjectFacts, deadline_s: float
) -> AsyncIterator[AsyncIterator[Answer]]:
    """The answers of `sources`, in their order, each as soon as its turn allows.

    A source that fails or is late is missing, no more. Leaving stops what is still being asked.
    Each is asked in a task of its own, so that its deadline ends with it.
    """
    tasks = [asyncio.create_task(_ask(source, facts, deadline_s)) for source in sources]
    try:
        yield _in_order(tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _in_order(tasks: "Sequence[asyncio.Task[Answer]]") -> AsyncIterator[Answer]:
    for task in tasks:
        yield await task


async def _ask(source: Source, facts: SubjectFacts, deadline_s: float) -> Answer:
    set_time_remaining(deadline_s - asyncio.get_running_loop().time())
    began_s = time.perf_counter()
    try:
        with span(f"find {source.name}"):
            async with asyncio.timeout_at(deadline_s):
                return Answer(source=source, findings=await source.find(facts))
    except Exception as error:
        logger.warning("source failed", extra={"source": source.name, "cause": repr(error)})
        metrics.SOURCE_FAILURES.labels(source.name).inc()
        why = Findings(missing=(f"{source.name}: {_why(error)}",))
        return Answer(source=source, findings=why, failed=True)
    finally:
        metrics.SOURCE_DURATION.labels(source.name).observe(time.perf_counter() - began_s)


def _why(error: Exception) -> str:
    if isinstance(error, (TimeoutError, DeadlineExceeded)):
        return "no answer in time"
    if isinstance(error, SensusError):
        return f"unavailable ({error.reason})"
    return "unavailable (internal error)"
