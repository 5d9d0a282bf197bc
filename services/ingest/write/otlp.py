"""OTLP metrics: a body in, what became of its points out."""

from dataclasses import dataclass
from typing import Final

from services.ingest.model.foreign import ForeignAck
from services.ingest.otlp.metrics import OtlpMetrics, OtlpMetricsReader
from services.ingest.write.bodies import BodyWriter
from services.ingest.write.exemplars import ExemplarWrites

_KIND: Final = "otlp metrics"
_SHOWN: Final = 3
_LONGEST_NAME: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class OtlpWritten:
    """How many data points were refused, and why the first of them were."""

    rejected: int
    message: str = ""


class OtlpWrites:
    """Takes requests for metrics."""

    def __init__(self, bodies: BodyWriter, exemplars: ExemplarWrites) -> None:
        """Writes points through `bodies`."""
        self._bodies = bodies
        self._exemplars = exemplars
        self._reader = OtlpMetricsReader()

    async def write(self, caller: str, body: bytes) -> OtlpWritten:
        """Returns when the good points are durable.

        Raises:
            InvalidInput: BODY_BROKEN or TOO_MANY_FIELDS.
            Overloaded: CALLER_OVER_LIMIT or SAMPLE_RATE_EXCEEDED; BODY_TOO_LARGE, without a time
                to try again.
            Unavailable: Nothing is acknowledged; send the body again.
        """
        async with self._bodies.room(caller, _KIND, body) as room:
            found = await room.read(
                lambda content: self._reader.read(content, self._bodies.latest_ms())
            )
            ack = await self._bodies.write(caller, _KIND, body, found.batch)
            self._reader.committed(found)
            self._bodies.notes.note(caller, found.metadata)
            await self._exemplars.keep(caller, found.exemplars, found.examples)
        return _written(found, ack)


def _written(found: OtlpMetrics, ack: ForeignAck) -> OtlpWritten:
    shown = {_explained(found, refusal.index, refusal.message): None for refusal in ack.refusals}
    return OtlpWritten(rejected=len(ack.refused), message="; ".join([*shown][:_SHOWN]))


def _explained(found: OtlpMetrics, metric: int, message: str) -> str:
    name = found.metrics.text("name", metric)
    return f"{name.decode(errors='replace')[:_LONGEST_NAME]}: {message}"
