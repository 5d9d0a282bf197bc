"""What is listed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPattern:
    """A pattern with its lines; `pattern` as its id in events, `severity` of OTLP."""

    pattern: int
    service: str
    text: str
    severity: int
    lines: int
    first_ms: int
    last_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredExample:
    """An example as it is listed."""

    example_id: str
    service: str
    name: str
    type: str
    message: str
    frames: Sequence[str]
    trace_id: bytes
    span_id: bytes
    time_ms: int
    pattern: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredVersion:
    """A version of a service in one environment; `instances` are those of the last minutes."""

    service: str
    version: str
    environment: str
    first_seen: datetime
    last_seen: datetime
    instances: int
    all_instances: int
