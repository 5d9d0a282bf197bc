"""What the ids of events stand for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

OTHER: Final = "(other)"
"""Stands for what is beyond a limit."""
OTHER_ID: Final = 1
"""The same as an id, of operations and addresses."""
SLOTS: Final = 5
"""Examples of one operation, type, pattern and hour."""
_HOUR_NS: Final = 3_600_000_000_000


@dataclass(frozen=True, slots=True)
class Named:
    """An operation or a pattern of a service; a name alone has no service."""

    service: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """A running copy of a service."""

    service: str
    version: str
    instance: str
    environment: str


@dataclass(slots=True, kw_only=True)
class Names:
    """Names by id."""

    operations: dict[int, Named] = field(default_factory=dict)
    addresses: dict[int, Named] = field(default_factory=dict)
    patterns: dict[int, Named] = field(default_factory=dict)
    exceptions: dict[int, Named] = field(default_factory=dict)
    instances: Mapping[int, Instance] = field(default_factory=dict)

    def by_kind(self) -> Mapping[int, dict[int, Named]]:
        """All but instances, by the kinds of `topology.name`."""
        return {1: self.operations, 2: self.addresses, 3: self.patterns, 4: self.exceptions}


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """The masked text of one error; ids as in events."""

    operation: int
    exception: int
    pattern: int
    service: str
    name: str
    type: str
    message: str
    frames: Sequence[str]
    trace_id: bytes
    span_id: bytes
    time_ns: int

    @property
    def hour(self) -> int:
        """Since the Unix epoch."""
        return self.time_ns // _HOUR_NS

    @property
    def _digest(self) -> bytes:
        ids = (self.time_ns, self.operation, self.exception, self.pattern)
        said = b"".join(each.to_bytes(8, "little") for each in ids)
        return blake2b(self.trace_id + self.span_id + said, digest_size=9).digest()

    @property
    def example_id(self) -> str:
        """The same wherever it is read."""
        return self._digest[:8].hex()

    @property
    def slot(self) -> int:
        """Of its operation, type, pattern and hour: by chance, and always the same."""
        return self._digest[8] % SLOTS
