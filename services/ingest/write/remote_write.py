"""Prometheus remote write: a body in, what became of it out."""

from dataclasses import dataclass

from services.ingest.model.foreign import ForeignAck
from services.ingest.prometheus.remote_write import RemoteWriteBody, RemoteWriteReader
from services.ingest.write.bodies import BodyWriter
from services.ingest.write.exemplars import ExemplarWrites


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteWritten:
    """Samples, histograms and exemplars that are stored, and what was refused."""

    samples: int
    histograms: int
    exemplars: int
    ack: ForeignAck


class RemoteWrites:
    """Takes bodies of both versions."""

    def __init__(self, bodies: BodyWriter, exemplars: ExemplarWrites) -> None:
        """Writes samples through `bodies`."""
        self._bodies = bodies
        self._exemplars = exemplars
        self._reader = RemoteWriteReader()

    async def write(self, caller: str, version: int, body: bytes) -> RemoteWritten:
        """Returns when the good records are durable.

        Raises:
            InvalidInput: BODY_BROKEN or TOO_MANY_FIELDS.
            Overloaded: CALLER_OVER_LIMIT or SAMPLE_RATE_EXCEEDED; BODY_TOO_LARGE, without a time
                to try again.
            Unavailable: Nothing is acknowledged; send the body again.
        """
        read = self._reader.read_v1 if version == 1 else self._reader.read_v2
        kind = f"remote write {version}"
        async with self._bodies.room(caller, kind, body) as room:
            found = await room.read(lambda content: read(content, self._bodies.latest_ms()))
            ack = await self._bodies.write(caller, kind, body, found.batch)
            self._bodies.notes.note(caller, found.metadata)
            kept = await self._exemplars.keep(caller, found.exemplars, found.examples)
        return _written(found, ack, kept)


def _written(found: RemoteWriteBody, ack: ForeignAck, exemplars: int) -> RemoteWritten:
    bad_samples = int((ack.refused < found.samples).sum())
    return RemoteWritten(
        samples=found.samples - bad_samples,
        histograms=found.histograms - (len(ack.refused) - bad_samples),
        exemplars=exemplars,
        ack=ack,
    )
