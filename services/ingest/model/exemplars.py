"""Exemplars: requests that a sender gives as examples of a series, by the id of their trace."""

import math
import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from services.ingest.model.labels import METRIC_NAME, Labels, SeriesKey
from services.ingest.model.writes import Definition

MOST_OF_BODY: Final = 1000
"""Exemplars of a body that are looked at; of more, as many from all over it."""

RETENTION_MS: Final = 7 * 86_400_000
_MINUTE_MS: Final = 60_000
_SLOTS: Final = 60
_SUFFIXES: Final = ("_bucket", "_count", "_sum", "_total")
_PARTS: Final = ("le", "quantile")
_HEX: Final = re.compile(r"[0-9a-f]{1,32}")
_TRACE_DIGITS: Final = (16, 32)
_SPAN_DIGITS: Final = 16
_DIGITS: Final = 32


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One request.

    Attributes:
        family: 16 bytes that the series have in common which one histogram or counter becomes.
        time_ms: When it was measured.
        value: What it took, or added.
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits; "" where it is not told.
    """

    family: bytes
    time_ms: int
    value: float
    trace_id: str
    span_id: str

    @property
    def minute(self) -> int:
        """Minutes since the Unix epoch: of each only the greatest exemplar is kept."""
        return self.time_ms // _MINUTE_MS

    @property
    def slot(self) -> int:
        """Its place among those of its family."""
        return self.minute % _SLOTS


def exemplar(
    known: Definition, time_ms: int, value: float, trace_id: str, span_id: str
) -> Exemplar | None:
    """As it can be kept; None for one without a trace, or of no series, or without a number."""
    trace_id, span_id = trace_id.lower(), span_id.lower()
    leads_somewhere = len(trace_id) in _TRACE_DIGITS and _is_id(trace_id)
    if not (isinstance(known, SeriesKey) and leads_somewhere and math.isfinite(value)):
        return None
    has_span = len(span_id) == _SPAN_DIGITS and _is_id(span_id)
    padded = trace_id.zfill(_DIGITS)  # tracers that count with 64 bits leave out the zeros
    return Exemplar(family_of(known.labels), time_ms, value, padded, span_id if has_span else "")


def family_of(labels: Labels) -> bytes:
    """The family of a series: its labels, but for what tells apart the series of one histogram."""
    digest = blake2b(digest_size=16)
    for name, value in labels:
        if name == METRIC_NAME:
            suffix = next((each for each in _SUFFIXES if value.endswith(each)), "")
            value = value.removesuffix(suffix)
        if name not in _PARTS:
            digest.update(b"\xff".join((name.encode(), value.encode(), b"")))
    return digest.digest()


def _is_id(text: str) -> bool:
    return _HEX.fullmatch(text) is not None and text.strip("0") != ""
