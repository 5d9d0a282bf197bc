"""Spans and log records as rows of 72 bytes, with the names that stand in them as hashes. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

EVENT: Final = np.dtype(
    [
        ("trace_id", "V16"),
        ("span_id", "V8"),
        ("parent", "<u8"),
        ("start_ns", "<u8"),
        ("end_ns", "<u8"),
        ("operation", "<u8"),
        ("instance", "<u4"),
        ("peer", "<u4"),
        ("kind", "u1"),
        ("status", "u1"),
        ("code", "<u2"),
        ("flags", "<u2"),
        ("thinning", "u1"),
        ("severity", "u1"),
    ]
)
"""One row; its fields are described at `EventDelivery` in the contract."""
Events = NDArray[np.void]

RECORD: Final = 16
LINES: Final = 17

ERROR: Final = 17
"""Severity of OTLP from which a record is an error."""

GRPC_CODE: Final = 1
DATABASE: Final = 2
QUEUE: Final = 4
REMOTE_PARENT: Final = 8
PARENT_UNSAID: Final = 16
SPAN_EXCEPTION: Final = 32

_MIX: Final = np.uint64(0x9E3779B97F4A7C15)


class Operation(msgspec.Struct, frozen=True, array_like=True):
    """An operation of a service; with an empty name the service as such."""

    service: str
    name: str


class Instance(msgspec.Struct, frozen=True, array_like=True):
    """A running copy of a service."""

    service: str
    version: str
    instance: str
    environment: str


class Pattern(msgspec.Struct, frozen=True, array_like=True):
    """What log lines of a service have in common."""

    service: str
    text: str


class Example(msgspec.Struct, frozen=True, array_like=True):
    """The masked text of one error; ids as in the rows."""

    trace_id: bytes
    span_id: bytes
    time_ns: int
    operation: int
    pattern: int
    exception: int
    message: str
    frames: Sequence[str]


class Names(msgspec.Struct, array_like=True):
    """What ids stand for."""

    operations: dict[int, Operation] = {}
    addresses: dict[int, str] = {}
    instances: dict[int, Instance] = {}
    patterns: dict[int, Pattern] = {}
    exceptions: dict[int, str] = {}

    def __len__(self) -> int:
        """How many there are."""
        return sum(map(len, self._all()))

    def add(self, other: "Names") -> None:
        """Takes those of another too."""
        for mine, theirs in zip(self._all(), other._all(), strict=True):
            mine.update(theirs)

    def of(self, rows: Events) -> "Names":
        """Those that stand in some rows."""
        kinds, peers, parents = rows["kind"], rows["peer"], rows["parent"]
        spans, records = kinds < RECORD, kinds == RECORD
        return Names(
            _those(self.operations, rows["operation"]),
            _those(self.addresses, peers[spans]),
            _those(self.instances, rows["instance"]),
            _those(self.patterns, parents[~spans]),
            _those(self.exceptions, peers[records]),
        )

    def _all(self) -> tuple[dict[int, Any], ...]:
        return self.operations, self.addresses, self.instances, self.patterns, self.exceptions


@dataclass(frozen=True, slots=True, kw_only=True)
class EventBatch:
    """What one body says, under its number. At least one row.

    Attributes:
        shards: Of each row.
    """

    producer_id: str
    sequence: int
    rows: Events
    shards: NDArray[np.int16]
    names: Names
    examples: Sequence[Example]
    traceparent: str = ""

    @property
    def identity(self) -> tuple[str, int]:
        """What makes a repeat a repeat."""
        return self.producer_id, self.sequence


def hash64(*parts: str) -> int:
    """The id of what some texts stand for together: the same everywhere, never 0."""
    return _hashed(parts, 8)


def hash32(*parts: str) -> int:
    """Like `hash64`, in 32 bits."""
    return _hashed(parts, 4)


def empty(count: int) -> Events:
    """Rows of zeros."""
    return np.zeros(count, EVENT)


def joined(first: Events, second: Events) -> Events:
    """Some rows behind others; rows of either alone are not copied."""
    if not len(first) or not len(second):
        return first if len(first) else second
    made: Events = np.concatenate((_words(first), _words(second))).view(EVENT)
    return made


def _words(rows: Events) -> NDArray[np.uint64]:
    """Rows as numbers, which are copied twenty times as fast as rows of fields."""
    return np.ascontiguousarray(rows).view(np.uint64)


def shards_of(rows: Events, shard_count: int) -> NDArray[np.int16]:
    """The shard of each row: by its trace, or by its operation where it has none.

    Ids of traces are not always random, some begin with a time: all bits count.
    """
    ids = np.ascontiguousarray(rows["trace_id"]).view("<u8").reshape(-1, 2)
    mixed = (ids[:, 0] * _MIX) ^ ids[:, 1]
    untraced = ~ids.any(axis=1)
    mixed[untraced] = rows["operation"][untraced]
    mixed = (mixed ^ (mixed >> np.uint64(32))) * _MIX
    shards: NDArray[np.int16] = ((mixed >> np.uint64(33)) % np.uint64(shard_count)).astype(np.int16)
    return shards


def _those(known: Mapping[int, Any], ids: NDArray[Any]) -> dict[int, Any]:
    if not known:
        return {}
    asked: Iterable[int] = np.unique(ids).tolist()
    return {each: known[each] for each in asked if each in known}


def _hashed(parts: Sequence[str], size: int) -> int:
    digest = blake2b("\0".join(parts).encode(errors="replace"), digest_size=size).digest()
    return int.from_bytes(digest, "little") or 1
