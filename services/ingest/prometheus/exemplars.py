"""Exemplars of remote write: the labels `trace_id` and `span_id` are read, no other."""

from collections.abc import Mapping, Sequence
from typing import Final

from services.ingest.model.exemplars import MOST_OF_BODY, Exemplar, exemplar
from services.ingest.model.writes import Definition
from services.ingest.wire.fields import Fields, Spans, chunk, fixed64, packed_varints, varint

_TRACE: Final = (b"trace_id", b"traceID", b"traceId")
_SPAN: Final = (b"span_id", b"spanID", b"spanId")
_LONGEST: Final = 32


def exemplars_v1(body: bytes, spans: Spans, definitions: Sequence[Definition]) -> list[Exemplar]:
    """Of messages prometheus.Exemplar, whose parents are places in `definitions`."""
    fields = Fields(body, spans := spans.spread(MOST_OF_BODY))
    labels = Fields(body, fields.spans(chunk(1)))
    pairs: list[dict[bytes, bytes]] = [{} for _ in range(len(spans))]
    names, values = labels.last(chunk(1)).of(body), labels.last(chunk(2)).of(body)
    owners = fields.parents(chunk(1)).tolist()
    for owner, name, value in zip(owners, names, values, strict=True):
        pairs[owner][name] = value
    return _kept(fields, spans, definitions, pairs)


def exemplars_v2(
    body: bytes, spans: Spans, definitions: Sequence[Definition], symbols: Spans
) -> list[Exemplar]:
    """Of messages io.prometheus.write.v2.Exemplar; refs beyond the symbols are left out."""
    fields = Fields(body, spans := spans.spread(MOST_OF_BODY))
    owners, refs = packed_varints(body, fields, 1)
    refs_by_owner: list[list[int]] = [[] for _ in range(len(spans))]
    for owner, ref in zip(owners.tolist(), refs.tolist(), strict=True):
        refs_by_owner[owner].append(ref)
    pairs = [
        {
            symbols.one(body, name): symbols.one(body, value)
            for name, value in zip(refs[::2], refs[1::2], strict=False)
            if max(name, value) < len(symbols)
        }
        for refs in refs_by_owner
    ]
    return _kept(fields, spans, definitions, pairs)


def _kept(
    fields: Fields,
    spans: Spans,
    definitions: Sequence[Definition],
    pairs: Sequence[Mapping[bytes, bytes]],
) -> list[Exemplar]:
    owners, values = spans.parents.tolist(), fields.float64(fixed64(2)).tolist()
    times = fields.int64(varint(3)).tolist()
    found = (
        exemplar(definitions[owner], time_ms, value, _id(labels, _TRACE), _id(labels, _SPAN))
        for owner, time_ms, value, labels in zip(owners, times, values, pairs, strict=True)
    )
    return [each for each in found if each]


def _id(labels: Mapping[bytes, bytes], names: Sequence[bytes]) -> str:
    raw = next((labels[name] for name in names if labels.get(name)), b"")
    return raw.decode(errors="replace") if len(raw) <= _LONGEST else ""
