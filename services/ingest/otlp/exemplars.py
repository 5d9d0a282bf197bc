"""Exemplars of OTLP metrics: their trace and span, none of their attributes."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from services.ingest.model.exemplars import MOST_OF_BODY, Exemplar, exemplar
from services.ingest.model.writes import Definition
from services.ingest.wire.fields import Fields, Spans, chunk, fixed64

_NS_PER_MS: Final = np.uint64(1_000_000)


def exemplars(body: bytes, spans: Spans, definitions: Sequence[Definition]) -> Sequence[Exemplar]:
    """Of messages Exemplar, whose parents are places in `definitions`."""
    fields = Fields(body, spans := spans.spread(MOST_OF_BODY))
    is_int, integers = fields.has(fixed64(6)), fields.int64(fixed64(6)).astype(np.float64)
    values = np.where(is_int, integers, fields.float64(fixed64(3))).tolist()
    times = (fields.int64(fixed64(2)).view(np.uint64) // _NS_PER_MS).tolist()
    ids = zip(fields.last(chunk(5)).of(body), fields.last(chunk(4)).of(body), strict=True)
    found = (
        exemplar(definitions[owner], time_ms, value, trace.hex(), span.hex())
        for owner, time_ms, value, (trace, span) in zip(
            spans.parents.tolist(), times, values, ids, strict=True
        )
    )
    return [each for each in found if each]
