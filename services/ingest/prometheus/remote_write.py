"""Bodies of remote write as columns. Equal to protobuf objects, at a tenth of their cost.

Sources: Prometheus remote write 1.0 and 2.0-rc.4. Created timestamps are skipped unread, where rc.3
had them and where rc.4 has them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from services.ingest.histograms import HistogramSteps
from services.ingest.label_sets import LabelSets
from services.ingest.model.definitions import decoded
from services.ingest.model.foreign import ForeignBatch
from services.ingest.model.labels import LabelsRefused
from services.ingest.model.metadata import Metadata, metadata, name_of
from services.ingest.model.writes import Definition
from services.ingest.prometheus.native import native_histograms
from services.ingest.rows import Rows
from services.ingest.wire.fields import Fields, Spans, chunk, fixed64, packed_varints, varint
from services.ingest.wire.texts import Texts

_NAME, _VALUE = chunk(1), chunk(2)
_SAMPLE_VALUE, _SAMPLE_TIME = fixed64(1), varint(2)
_MOST_SYMBOLS: Final = 400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteWriteBody:
    """What a body says: its samples are the first records of `batch`, its histograms the others.

    Attributes:
        metadata: Of metrics whose label sets were met for the first time, or that were told alone.
    """

    batch: ForeignBatch
    metadata: Sequence[Metadata]
    samples: int
    histograms: int
    exemplars: int


class RemoteWriteReader:
    """Reads bodies; remembers label sets from body to body. For one thread."""

    def __init__(self) -> None:
        """Begins knowing nothing."""
        self._by_labels, self._by_symbols = LabelSets(), LabelSets()
        self._symbols = Texts(2 * _MOST_SYMBOLS)
        self._steps = HistogramSteps()

    def read_v1(self, body: bytes) -> RemoteWriteBody:
        """A prometheus.WriteRequest.

        Raises:
            InvalidInput: BODY_BROKEN or TOO_MANY_FIELDS.
        """
        request = Fields.of_body(body)
        series = Fields(body, request.spans(chunk(1)).few())
        runs, spans = series.runs(chunk(1), body)
        definitions = self._by_labels.of(
            runs, spans, lambda places: [_labels(spans.one(runs, place)) for place in places]
        )
        met = _metadata_alone(body, request.spans(chunk(3)))
        return self._body(body, series, definitions, met, histograms=chunk(4), exemplars=chunk(3))

    def read_v2(self, body: bytes) -> RemoteWriteBody:
        """An io.prometheus.write.v2.Request.

        Raises:
            InvalidInput: BODY_BROKEN or TOO_MANY_FIELDS.
        """
        request = Fields.of_body(body)
        series = Fields(body, request.spans(chunk(5)).few())
        symbols = request.spans(chunk(4)).few(_MOST_SYMBOLS)
        owners, refs = packed_varints(body, series, 1)
        last = np.uint64(len(symbols))
        numbers = np.append(self._symbols.numbers(body, symbols), -1)
        packed = numbers[np.minimum(refs, last).view(np.int64)].tobytes()
        edges = np.searchsorted(owners, np.arange(series.messages + 1))
        keys = Spans(np.arange(series.messages), 8 * edges[:-1], 8 * edges[1:])

        met: list[Metadata] = []

        def read(places: Sequence[int]) -> list[Definition]:
            texts = symbols.of(body)
            found = [
                _referred(texts, refs[edges[place] : edges[place + 1]].tolist()) for place in places
            ]
            met.extend(_metadata_beside(body, series, texts, places, found))
            return found

        definitions = self._by_symbols.of(packed, keys, read)
        return self._body(body, series, definitions, met, histograms=chunk(3), exemplars=chunk(4))

    def _body(
        self,
        body: bytes,
        series: Fields,
        definitions: Sequence[Definition],
        met: Sequence[Metadata],
        *,
        histograms: int,
        exemplars: int,
    ) -> RemoteWriteBody:
        found = series.spans(chunk(2))
        samples = Fields(body, found)
        rows = Rows()
        rows.add_series(
            definitions,
            found.parents,
            samples.int64(_SAMPLE_TIME),
            samples.float64(_SAMPLE_VALUE),
        )
        native = series.spans(histograms).few()
        if len(native):
            rows.add_histograms(definitions, *native_histograms(body, native), self._steps)
        return RemoteWriteBody(
            batch=rows.batch(np.concatenate([found.parents, native.parents])),
            metadata=met,
            samples=len(found),
            histograms=len(native),
            exemplars=len(series.rows(exemplars)),
        )


def _metadata_alone(body: bytes, spans: Spans) -> list[Metadata]:
    """Messages MetricMetadata of 1.0."""
    fields = Fields(body, spans.few())
    names, helps, units = (fields.last(chunk(number)).of(body) for number in (2, 4, 5))
    types = fields.int64(varint(1)).tolist()
    found = [
        metadata(name.decode(errors="replace"), type, unit, help)
        for name, type, unit, help in zip(names, types, units, helps, strict=True)
    ]
    return [each for each in found if each]


def _metadata_beside(
    body: bytes,
    series: Fields,
    symbols: Sequence[bytes],
    places: Sequence[int],
    definitions: Sequence[Definition],
) -> list[Metadata]:
    """Messages Metadata of 2.0, of some of the series."""
    fields = Fields(body, series.last(chunk(5)))
    types = fields.int64(varint(1)).tolist()
    helps, units = fields.int64(varint(3)).tolist(), fields.int64(varint(4)).tolist()
    found = {
        metadata(
            name_of(known),
            types[place],
            _symbol(symbols, units[place]),
            _symbol(symbols, helps[place]),
        )
        for place, known in zip(places, definitions, strict=True)
    }
    return [each for each in found if each]


def _symbol(symbols: Sequence[bytes], ref: int) -> bytes:
    return symbols[ref] if 0 <= ref < len(symbols) else b""


def _labels(run: bytes) -> Definition:
    pairs = Fields(run, Fields.of_body(run).spans(chunk(1)))
    names, values = pairs.last(_NAME).of(run), pairs.last(_VALUE).of(run)
    return decoded(zip(names, values, strict=True))


def _referred(symbols: Sequence[bytes], refs: Sequence[int]) -> Definition:
    if len(refs) % 2:
        return LabelsRefused("labels_refs has an odd length: send a name and a value each")
    if any(ref >= len(symbols) for ref in refs):
        return LabelsRefused("labels_refs points beyond the symbols: send the symbol")
    names, values = refs[::2], refs[1::2]
    return decoded((symbols[n], symbols[v]) for n, v in zip(names, values, strict=True))
