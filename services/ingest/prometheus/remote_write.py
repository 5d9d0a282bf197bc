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
from services.ingest.model.exemplars import Exemplar
from services.ingest.model.foreign import ForeignBatch
from services.ingest.model.labels import LabelsRefused
from services.ingest.model.metadata import Metadata, metadata, name_of
from services.ingest.model.writes import Definition
from services.ingest.prometheus.exemplars import exemplars_v1, exemplars_v2
from services.ingest.prometheus.native import native_histograms
from services.ingest.rows import ANY_TIME, Rows
from services.ingest.wire.fields import (
    MOST_FIELDS,
    Fields,
    Spans,
    chunk,
    fixed64,
    numbers_at,
    packed_varints,
    varint,
)
from services.ingest.wire.texts import Texts
from services.ingest.wire.trees import Message, Table, Tables, TreeReader

_MOST_SYMBOLS: Final = 400_000
_NAME, _VALUE = chunk(1), chunk(2)

_SAMPLE: Final = Message(numbers={"value": fixed64(1), "time": varint(2)}, most=MOST_FIELDS)
_HISTOGRAM, _EXEMPLAR = Message(), Message()
_METADATA: Final = Message(
    numbers={"type": varint(1)}, texts={"name": chunk(2), "help": chunk(4), "unit": chunk(5)}
)
_SERIES_V1: Final = Message(
    runs={"labels": (chunk(1),)},
    parts={chunk(2): _SAMPLE, chunk(3): _EXEMPLAR, chunk(4): _HISTOGRAM},
)
_BODY_V1: Final = Message(parts={chunk(1): _SERIES_V1, chunk(3): _METADATA})
_SYMBOL: Final = Message(most=_MOST_SYMBOLS)
_SERIES_V2: Final = Message(
    texts={"metadata": chunk(5)},
    runs={"refs": (chunk(1), varint(1))},
    parts={chunk(2): _SAMPLE, chunk(3): _HISTOGRAM, chunk(4): _EXEMPLAR},
)
_BODY_V2: Final = Message(parts={chunk(4): _SYMBOL, chunk(5): _SERIES_V2})


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteWriteBody:
    """What a body says: its samples are the first records of `batch`, its histograms the others.

    Attributes:
        metadata: Of metrics whose label sets were met for the first time, or that were told alone.
        exemplars: How many were sent.
        examples: Those of them that lead to a trace.
    """

    batch: ForeignBatch
    metadata: Sequence[Metadata]
    samples: int
    histograms: int
    exemplars: int
    examples: Sequence[Exemplar]


class RemoteWriteReader:
    """Reads bodies; remembers label sets from body to body. For one thread."""

    def __init__(self) -> None:
        """Begins knowing nothing."""
        self._v1, self._v2 = TreeReader(_BODY_V1), TreeReader(_BODY_V2)
        self._by_labels, self._by_symbols = LabelSets(), LabelSets()
        self._symbols = Texts(2 * _MOST_SYMBOLS)
        self._steps = HistogramSteps()

    def read_v1(self, body: bytes, latest_ms: int = ANY_TIME) -> RemoteWriteBody:
        """A prometheus.WriteRequest. Who is later than `latest_ms` will be refused.

        Raises:
            InvalidInput: BODY_BROKEN or TOO_MANY_FIELDS.
        """
        tables = self._v1.read(body)
        runs, spans = tables[_SERIES_V1].pieces("labels", body)
        definitions = self._by_labels.of(
            runs, spans, lambda places: [_labels(spans.one(runs, place)) for place in places]
        )
        met, examples = list[Metadata](), list[Exemplar]()
        if tables.count(_METADATA):
            met = _metadata_alone(body, tables[_METADATA])
        if tables.count(_EXEMPLAR):
            examples = exemplars_v1(body, tables[_EXEMPLAR].whole(), definitions)
        return self._body(body, tables, latest_ms, definitions, met, examples)

    def read_v2(self, body: bytes, latest_ms: int = ANY_TIME) -> RemoteWriteBody:
        """Like `read_v1`, an io.prometheus.write.v2.Request.

        Raises:
            InvalidInput: BODY_BROKEN or TOO_MANY_FIELDS.
        """
        tables = self._v2.read(body)
        series, symbols = tables[_SERIES_V2], tables[_SYMBOL].whole()
        runs, refs = series.pieces("refs", body)
        keys = numbers_at(runs, refs, self._symbols.numbers(body, symbols))
        met, examples = list[Metadata](), list[Exemplar]()

        def read(places: Sequence[int]) -> list[Definition]:
            texts = symbols.of(body)
            found = [_referred(texts, each) for each in _refs(runs, refs, places)]
            met.extend(_metadata_beside(body, series, texts, places, found))
            return found

        definitions = self._by_symbols.of(*keys, read)
        if tables.count(_EXEMPLAR):
            examples = exemplars_v2(body, tables[_EXEMPLAR].whole(), definitions, symbols)
        return self._body(body, tables, latest_ms, definitions, met, examples)

    def _body(
        self,
        body: bytes,
        tables: Tables,
        latest_ms: int,
        definitions: Sequence[Definition],
        met: Sequence[Metadata],
        examples: Sequence[Exemplar],
    ) -> RemoteWriteBody:
        samples, histograms = tables[_SAMPLE], tables.count(_HISTOGRAM)
        places, rows = samples.parents, Rows(latest_ms)
        rows.add_series(definitions, places, samples.int64("time"), samples.float64("value"))
        if histograms:
            native = tables[_HISTOGRAM].whole()
            rows.add_histograms(definitions, *native_histograms(body, native), self._steps)
            places = np.concatenate([places, native.parents])
        return RemoteWriteBody(
            batch=rows.batch(places),
            metadata=met,
            samples=len(samples),
            histograms=histograms,
            exemplars=tables.count(_EXEMPLAR),
            examples=examples,
        )


def _refs(runs: bytes, spans: Spans, places: Sequence[int]) -> list[list[int]]:
    """The refs of some series, packed or not."""
    asked = Spans(spans.parents[places], spans.starts[places], spans.ends[places])
    owners, refs = packed_varints(runs, Fields(runs, asked), 1)
    cuts = np.searchsorted(owners, np.arange(1, len(places)))
    return [each.tolist() for each in np.split(refs, cuts)]


def _metadata_alone(body: bytes, table: Table) -> list[Metadata]:
    """Messages MetricMetadata of 1.0."""
    names, helps, units = (table.spans(name).of(body) for name in ("name", "help", "unit"))
    found = [
        metadata(name.decode(errors="replace"), type, unit, help)
        for name, type, unit, help in zip(
            names, table.int64("type").tolist(), units, helps, strict=True
        )
    ]
    return [each for each in found if each]


def _metadata_beside(
    body: bytes,
    series: Table,
    symbols: Sequence[bytes],
    places: Sequence[int],
    definitions: Sequence[Definition],
) -> list[Metadata]:
    """Messages Metadata of 2.0, of some of the series."""
    fields = Fields(body, series.spans("metadata"))
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
