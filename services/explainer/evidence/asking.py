"""Asks all sources at once under one deadline. A source that fails is missing, no more."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from mesh.calls import set_time_remaining
from mesh.errors import DeadlineExceeded, SensusError
from mesh.telemetry import span
from services.explainer import metrics
from services.explainer.model.subjects import SubjectFacts
from services.explainer.sources import Findings, Source

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one source said; `failed` when it could not."""

    source: Source
    findings: Findings
    failed: bool = False


@asynccontextmanager
async def asking(
    sources: Sequence[Source], facts: SubjectFacts, *, within_s: float
) -> AsyncIterator[AsyncIterator[Answer]]:
    """The answers of all sources, in the order of `sources`, each as soon as its turn allows.

    Leaving stops what is still being asked.
    """
    deadline_s = asyncio.get_running_loop().time() + within_s
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
        return f"not to be had ({error.reason})"
    return "not to be had (internal error)"
