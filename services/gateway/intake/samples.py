"""`{"metric_name", "metric_value", "labels", "timestamp"?}`, one or an array, as one batch."""

import hashlib
import math
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from typing import Annotated, Final

import msgspec

from mesh.auth import Principal
from mesh.epoch import epoch_ms
from mesh.errors import InvalidInput, Unavailable, Violation
from mesh.telemetry import traceparent
from sensus.core.v1 import series_pb2
from sensus.ingest.v1 import ingest_service_pb2 as pb
from services.gateway.clients import Clients
from services.gateway.http.bodies import decode, off_loop
from services.gateway.intake.outcome import (
    Outcome,
    Refusal,
    by_index,
    check_not_empty,
    refused,
)
from services.gateway.metrics import SAMPLES_POSTED

SAMPLES_MAX: Final = 100_000

_WRITE_BATCH: Final = pb.DESCRIPTOR.services_by_name["IngestService"].methods_by_name["WriteBatch"]
_SPECIAL: Final = {
    "NaN": math.nan,
    "Inf": math.inf,
    "+Inf": math.inf,
    "-Inf": -math.inf,
}
_NAME: Final = "__name__"
_FIELDS: Final = "metric_name, metric_value, labels and timestamp"
_UNKNOWN: Final = re.compile(r"unknown field `(.*?)`")
_RETRY_AFTER_S: Final = 1.0
_REASON_PREFIX: Final = "SAMPLE_ERROR_REASON_"


Origin = tuple[str, int]
"""Producer and sequence, which name a batch: ingest counts it once."""


class SentItem(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One sample as it is sent."""

    metric_name: str
    metric_value: float | str
    labels: dict[str, str] = {}
    timestamp: Annotated[datetime, msgspec.Meta(tz=True)] | int | float | None = None


class Producer:
    """Names the batches of this process; their numbers only rise."""

    def __init__(self, instance_id: str) -> None:
        """`instance_id` differs between processes that run at the same time."""
        self._producer_id = f"gateway:{instance_id}"
        self._last = 0

    def next(self) -> Origin:
        """Producer and a sequence that no earlier process used: the time in nanoseconds."""
        self._last = max(self._last + 1, time.time_ns())
        return self._producer_id, self._last


def repeatable(subject: str, key: str) -> Origin:
    """The same for the same key of a sender, so that its batch counts once."""
    digest = hashlib.sha256(f"{subject}\n{key}".encode()).hexdigest()
    return f"gateway:key/{digest[:40]}", 1


async def write_samples(
    clients: Clients,
    principal: Principal,
    body: bytes,
    now_ms: int,
    producer: Producer,
    origin: Origin | None = None,
) -> Outcome:
    """Writes the samples of a body as the batch `origin`.

    Without one the series and times of the body name the batch, so that they count once however
    often they are sent: the first values stay. A body that leaves times to us is always new.

    Raises:
        InvalidInput: JSON_BROKEN or INVALID_FIELD about the whole body, SAMPLES_EMPTY,
            or TOO_MANY_SAMPLES.
        Unavailable: Nothing was committed: send it again.
    """
    batch = await off_loop(body, _Batch.read, body, now_ms)
    outcome = Outcome(count=batch.count, refusals=batch.refusals, duplicates=batch.duplicates)
    if batch.places:
        named = origin or batch.origin(principal.subject) or producer.next()
        ack = await _written(clients, principal, batch.request, named)
        if origin is None and ack.duplicate and ack.rejected > len(ack.errors):
            # what was refused at first is good now, but its batch is taken already
            ack = await _written(clients, principal, batch.request, producer.next())
        _add(outcome, ack, batch.places)
    outcome.count_on(SAMPLES_POSTED, outcome.count - outcome.accepted - outcome.duplicates)
    return outcome


async def _written(
    clients: Clients, principal: Principal, request: pb.WriteBatchRequest, origin: Origin
) -> pb.WriteAck:
    request.producer_id, request.batch.sequence = origin
    request.batch.traceparent = traceparent()
    answer = await clients.unary(_WRITE_BATCH, request, principal)
    assert isinstance(answer, pb.WriteBatchResponse)  # noqa: S101
    return answer.ack


@dataclass(slots=True)
class _Batch:
    """The good samples of a body as a request, `places` their indices in the body."""

    request: pb.WriteBatchRequest = field(default_factory=pb.WriteBatchRequest)
    places: list[int] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    count: int = 0
    duplicates: int = 0
    is_timed_here: bool = False
    times: set[tuple[int, int]] = field(default_factory=set)
    refs: dict[tuple[tuple[str, str], ...], int] = field(default_factory=dict)

    @classmethod
    def read(cls, body: bytes, now_ms: int) -> "_Batch":
        batch = cls()
        for raw in _items(body):
            batch._add(raw, now_ms)
        check_not_empty(batch.count, "samples", "SAMPLES_EMPTY")
        return batch

    def origin(self, subject: str) -> Origin | None:
        """The same for the same series and times of a sender; None when some times are ours."""
        if self.is_timed_here:
            return None
        labels = list(self.refs)
        points = sorted((labels[ref], time_ms) for ref, time_ms in self.times)
        return repeatable(subject, repr(points))

    def _add(self, raw: msgspec.Raw, now_ms: int) -> None:
        index, self.count = self.count, self.count + 1
        try:
            item = _decoded(raw)
            labels, timestamp_ms = _labels(item), _timestamp_ms(item.timestamp, now_ms)
            value = _value(item.metric_value)
        except InvalidInput as error:
            refusal = Refusal(index=index, reason=_reason(error), message=error.message)
            self.refusals.append(refusal)
            return
        ref = self._ref(labels)
        if (ref, timestamp_ms) in self.times:
            self.duplicates += 1
            return
        self.times.add((ref, timestamp_ms))
        self.is_timed_here = self.is_timed_here or item.timestamp is None
        packed = self.request.batch.packed
        packed.series_refs.append(ref)
        packed.timestamps_ms.append(timestamp_ms)
        packed.values.append(value)
        self.places.append(index)

    def _ref(self, labels: tuple[tuple[str, str], ...]) -> int:
        """The number of a series, defined where it comes first."""
        ref = self.refs.setdefault(labels, len(self.refs))
        if ref == len(self.request.series):
            defined = (series_pb2.Label(name=name, value=value) for name, value in labels)
            self.request.series.add(ref=ref, labels=defined)
        return ref


def _decoded(raw: msgspec.Raw) -> SentItem:
    try:
        return decode(raw, SentItem)
    except InvalidInput as error:
        unknown = _UNKNOWN.search(error.message)
        if unknown is None:
            raise
        near = get_close_matches(unknown[1], SentItem.__struct_fields__, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"send only {_FIELDS}"
        message = f"unknown field {unknown[1][:100]!r}: {hint}"
        violation = Violation(unknown[1][:100], message)
        raise InvalidInput(message, reason="UNKNOWN_FIELD", violations=[violation]) from None


def _items(body: bytes) -> Iterator[msgspec.Raw]:
    if body.lstrip()[:1] == b"{":
        yield decode(body, msgspec.Raw)
        return
    items = decode(body, list[msgspec.Raw])
    if len(items) > SAMPLES_MAX:
        rule = f"more than {SAMPLES_MAX} samples: send them in parts"
        raise InvalidInput(rule, reason="TOO_MANY_SAMPLES")
    yield from items


def _add(outcome: Outcome, ack: pb.WriteAck, places: list[int]) -> None:
    if ack.duplicate:
        outcome.duplicates += ack.accepted
    else:
        outcome.accepted = ack.accepted
    for error in ack.errors:
        reason = reason_name(error.reason)
        if reason == "UNAVAILABLE":
            raise Unavailable("not committed: send it again", retry_after_s=_RETRY_AFTER_S)
        outcome.refusals.append(
            Refusal(
                index=places[error.index],
                reason=reason,
                message=error.message,
                retryable=error.retryable,
            )
        )
    outcome.refusals = by_index(outcome.refusals)


def _labels(item: SentItem) -> tuple[tuple[str, str], ...]:
    if item.labels.get(_NAME, item.metric_name) != item.metric_name:
        raise refused(f"labels.{_NAME}", "is not metric_name: leave it out")
    return tuple(sorted({**item.labels, _NAME: item.metric_name}.items()))


def _value(sent: float | str) -> float:
    if isinstance(sent, str):
        if sent not in _SPECIAL:
            raise refused("metric_value", "must be a number, or one of NaN, +Inf, -Inf")
        return _SPECIAL[sent]
    return sent


def _timestamp_ms(sent: datetime | float | None, now_ms: int) -> int:
    if sent is None:
        return now_ms
    if isinstance(sent, datetime):
        return math.floor(sent.timestamp() * 1000)
    try:
        return epoch_ms(sent)
    except ValueError as error:
        raise refused("timestamp", str(error)) from None


def _reason(error: InvalidInput) -> str:
    if error.reason == "UNKNOWN_FIELD":
        return error.reason
    name = error.violations[0].field if error.violations else ""
    if name.startswith("metric_value"):
        return "INVALID_VALUE"
    return "INVALID_TIMESTAMP" if name.startswith("timestamp") else "INVALID_LABELS"


def reason_name(reason: int) -> str:
    """The short name of a reason of ingest."""
    value = pb.SampleErrorReason.DESCRIPTOR.values_by_number.get(reason)
    return value.name.removeprefix(_REASON_PREFIX) if value else "UNSPECIFIED"
