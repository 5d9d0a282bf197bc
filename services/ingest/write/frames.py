"""What a sender and this service say to each other on one stream."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.ingest.model.writes import Ack, BatchRefused, Definition, IncomingBatch


@dataclass(frozen=True, slots=True)
class WriteOpen:
    """Opens a stream."""

    producer_id: str


@dataclass(frozen=True, slots=True)
class Definitions:
    """Entries for the stream's dictionary."""

    by_ref: Sequence[tuple[int, Definition]]


@dataclass(frozen=True, slots=True)
class SentBatch:
    """A batch, or why it cannot be used."""

    sequence: int
    batch: IncomingBatch | BatchRefused


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """The first answer."""

    last_sequence: int


@dataclass(frozen=True, slots=True)
class Draining:
    """The server will stop."""

    grace_s: float


WriteFrame = WriteOpen | Definitions | SentBatch
WriteAnswer = StreamOpened | Ack | Draining
