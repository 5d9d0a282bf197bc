"""Writing what HTTP senders bring: good items go in, bad ones are named by their place."""

import asyncio
import hashlib
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeVar

from mesh.auth import Principal
from mesh.errors import InvalidInput, Unavailable, Violation
from mesh.telemetry import traceparent
from services.gateway.clients import Clients
from services.gateway.convert import (
    WRITE_ALERTS,
    WRITE_BATCH,
    alerts_from_proto,
    alerts_to_proto,
    samples_from_proto,
    samples_to_proto,
)
from services.gateway.metrics import ALERTS_POSTED, SAMPLES_POSTED
from services.gateway.model import AlertChange, Intake, Refusal, SentSample

T = TypeVar("T")

ALERTS_PER_CALL: Final = 1000
SAMPLES_MAX: Final = 100_000

_RETRY_AFTER_S: Final = 1.0


class Producer:
    """Names our batches: one producer per process, numbers that only rise."""

    def __init__(self, instance_id: str) -> None:
        """`instance_id` differs between processes that run at the same time."""
        self._producer_id = f"gateway:{instance_id}"
        self._last = 0

    def next(self) -> tuple[str, int]:
        """Producer and a sequence that no earlier process used: the time in nanoseconds."""
        self._last = max(self._last + 1, time.time_ns())
        return self._producer_id, self._last


def repeatable(subject: str, idempotency_key: str) -> tuple[str, int]:
    """Producer and sequence of a request that says it may come twice; no caller meets another's."""
    digest = hashlib.sha256(f"{subject}\n{idempotency_key}".encode()).hexdigest()
    return f"gateway:key/{digest[:40]}", 1


async def write_alerts(
    clients: Clients, principal: Principal, read: Iterable[AlertChange | Refusal]
) -> Intake:
    """Writes alerts; returns only after the good ones are committed.

    Raises:
        InvalidInput: ALERTS_EMPTY, or ALERTS_REFUSED when none of them is good.
        Unavailable: Not all were committed: send all of them again.
    """
    places, changes, refusals, count = _split(read, AlertChange)
    _refuse_empty(count, "alerts", "ALERTS_EMPTY")
    ids, accepted, duplicates = [""] * count, 0, 0
    for start in range(0, len(changes), ALERTS_PER_CALL):
        part = slice(start, start + ALERTS_PER_CALL)
        answer = await clients.unary(WRITE_ALERTS, alerts_to_proto(changes[part]), principal)
        intake = alerts_from_proto(answer, places[part], count)
        ids = [new or old for new, old in zip(intake.ids, ids, strict=True)]
        accepted, duplicates = accepted + intake.accepted, duplicates + intake.duplicates
        refusals.extend(intake.refusals)
    whole = _whole(accepted, duplicates, refusals, ids)
    _count(ALERTS_POSTED, whole, len(refusals))
    _refuse_nothing_good(whole, "alerts", "ALERTS_REFUSED")
    return whole


async def write_samples(
    clients: Clients,
    principal: Principal,
    read: Iterable[SentSample | Refusal],
    origin: tuple[str, int],
) -> Intake:
    """Writes samples as one batch of `origin` (producer and sequence).

    Raises:
        InvalidInput: SAMPLES_EMPTY, TOO_MANY_SAMPLES, or SAMPLES_REFUSED when none is good.
        Unavailable: Nothing was committed: send it again.
    """
    places, samples, refusals, count = _split(read, SentSample)
    _refuse_empty(count, "samples", "SAMPLES_EMPTY")
    if count > SAMPLES_MAX:
        told = f"more than {SAMPLES_MAX} samples: send them in parts"
        raise InvalidInput(told, reason="TOO_MANY_SAMPLES")
    intake = Intake(accepted=0, duplicates=0, refusals=())
    if samples:
        request = await asyncio.to_thread(samples_to_proto, *origin, samples, traceparent())
        intake = samples_from_proto(await clients.unary(WRITE_BATCH, request, principal), places)
        if any(refusal.reason == "UNAVAILABLE" for refusal in intake.refusals):
            raise Unavailable("not committed: send it again", retry_after_s=_RETRY_AFTER_S)
    refusals.extend(intake.refusals)
    whole = _whole(intake.accepted, intake.duplicates, refusals, ())
    _count(SAMPLES_POSTED, whole, count - intake.accepted - intake.duplicates)
    _refuse_nothing_good(whole, "samples", "SAMPLES_REFUSED")
    return whole


def _split(read: Iterable[Any], good: type[T]) -> tuple[list[int], list[T], list[Refusal], int]:
    places: list[int] = []
    items: list[T] = []
    refusals: list[Refusal] = []
    index = -1
    for index, item in enumerate(read):
        if isinstance(item, good):
            places.append(index)
            items.append(item)
        else:
            refusals.append(item)
    return places, items, refusals, index + 1


def _whole(
    accepted: int, duplicates: int, refusals: Sequence[Refusal], ids: Sequence[str]
) -> Intake:
    ordered = sorted(refusals, key=lambda refusal: refusal.index)
    return Intake(accepted=accepted, duplicates=duplicates, refusals=tuple(ordered), ids=tuple(ids))


def _refuse_empty(count: int, what: str, reason: str) -> None:
    if count == 0:
        raise InvalidInput(f"no {what}: send at least one", reason=reason)


def _refuse_nothing_good(intake: Intake, what: str, reason: str) -> None:
    if intake.accepted or intake.duplicates or not intake.refusals:
        return
    violations = [
        Violation(f"{what}[{refusal.index}]", refusal.message) for refusal in intake.refusals
    ]
    told = f"none of the {what} was taken: {violations[0].field}: {violations[0].description}"
    raise InvalidInput(told, reason=reason, violations=violations)


def _count(counter: Any, intake: Intake, refused: int) -> None:
    counter.labels("accepted").inc(intake.accepted)
    counter.labels("duplicate").inc(intake.duplicates)
    counter.labels("refused").inc(refused)
