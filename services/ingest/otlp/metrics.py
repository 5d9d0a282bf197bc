"""ExportMetricsServiceRequest as rows, without message objects for what was met before.

Source: opentelemetry-proto 1.x. Scopes and exemplars are skipped unread.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import numpy as np
from google.protobuf.message import DecodeError
from opentelemetry.proto.metrics.v1 import metrics_pb2

from services.ingest.histograms import HistogramSteps
from services.ingest.label_sets import MOST, LabelSets
from services.ingest.model.definitions import definition
from services.ingest.model.foreign import NO_RECORD, ForeignBatch
from services.ingest.model.labels import METRIC_NAME, LabelsRefused, SeriesKey
from services.ingest.model.metadata import Metadata, MetricType, metadata, name_of
from services.ingest.model.samples import Int64s
from services.ingest.model.writes import Definition
from services.ingest.naming import labels_of, metric_name
from services.ingest.otlp import points as kinds
from services.ingest.otlp.attributes import labelled, pairs
from services.ingest.otlp.resources import UNREADABLE, Resources
from services.ingest.rows import Rows
from services.ingest.wire.fields import Fields, Spans, chunk, varint
from services.ingest.wire.texts import Texts

_NO_VALUE: Final = "the point has no value, or its metric tells no aggregation temporality"
_HOUR_MS: Final = 3_600_000
_MOST_KEPT: Final = 50_000


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of metric: its field in Metric, the number of attributes in its points."""

    field: int
    attributes: int
    message: Any
    type: MetricType
    is_sum: bool = False
    is_gauge: bool = False


_GAUGE: Final = _Kind(5, 7, metrics_pb2.NumberDataPoint, MetricType.GAUGE, is_gauge=True)
_SUM: Final = _Kind(7, 7, metrics_pb2.NumberDataPoint, MetricType.GAUGE, is_sum=True)
_HISTOGRAM: Final = _Kind(9, 9, metrics_pb2.HistogramDataPoint, MetricType.HISTOGRAM)
_EXPONENTIAL: Final = _Kind(10, 1, metrics_pb2.ExponentialHistogramDataPoint, MetricType.HISTOGRAM)
_SUMMARY: Final = _Kind(11, 7, metrics_pb2.SummaryDataPoint, MetricType.SUMMARY)


@dataclass(frozen=True, slots=True)
class OtlpMetrics:
    """What a body says. A record is a data point; its place is that of its metric in `names`.

    Attributes:
        targets: Resources of which `batch` has `target_info`, and the hour for which it holds.
    """

    batch: ForeignBatch
    names: Sequence[bytes]
    metadata: Sequence[Metadata]
    targets: Mapping[bytes, int]


@dataclass(frozen=True, slots=True)
class _Metrics:
    """The metrics of a body as they were sent, and the resource of each."""

    fields: Fields
    names: Sequence[bytes]
    units: Sequence[bytes]
    helps: Spans
    owners: Sequence[int]
    resources: Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class _Points:
    """The points of one kind, with the label set and the metric of each."""

    body: bytes
    fields: Fields
    definitions: Sequence[Definition]
    temporality: Int64s
    metrics: Int64s
    metadata: Sequence[Metadata]


class OtlpMetricsReader:
    """Reads bodies; remembers label sets from body to body. For one thread."""

    def __init__(self) -> None:
        """Begins knowing nothing."""
        self._known = LabelSets()
        self._attributes = Texts(MOST)
        self._steps = HistogramSteps()
        self._numbers: dict[bytes, int] = {}
        self._next = 0
        self._target_hours: dict[bytes, int] = {}

    def read(self, body: bytes) -> OtlpMetrics:
        """The rows of a body.

        Raises:
            InvalidInput: BODY_BROKEN or TOO_MANY_FIELDS.
        """
        resources = Fields(body, Fields.of_body(body).spans(chunk(1)).few())
        scopes = resources.spans(chunk(2)).few()
        found = Fields(body, scopes).spans(chunk(2)).few()
        fields = Fields(body, found)
        metrics = _Metrics(
            fields=fields,
            names=fields.last(chunk(1)).of(body),
            units=fields.last(chunk(3)).of(body),
            helps=fields.last(chunk(2)),
            owners=scopes.parents[found.parents].tolist(),
            resources=Resources(body, resources.last(chunk(1))),
        )
        rows, places, met = Rows(), [np.empty(0, np.int64)], list[Metadata]()
        for kind, add in (
            (_GAUGE, self._add_gauges),
            (_SUM, self._add_sums),
            (_HISTOGRAM, self._add_explicit),
            (_EXPONENTIAL, self._add_exponential),
            (_SUMMARY, self._add_summaries),
        ):
            data_spans = fields.spans(chunk(kind.field))
            if len(data_spans):
                points = self._points(body, metrics, kind, data_spans)
                add(points, rows)
                places.append(points.metrics)
                met += points.metadata
        batch, targets = rows.batch(np.concatenate(places)), dict[bytes, int]()
        if len(batch.values):
            targets = self._add_targets(rows, metrics, int(batch.timestamps_ms.max()))
            batch = rows.batch(batch.places)
        return OtlpMetrics(batch, metrics.names, met, targets)

    def committed(self, found: OtlpMetrics) -> None:
        """Notes that the rows of a body are durable; until then `target_info` is read again."""
        if len(self._target_hours) > _MOST_KEPT:
            self._target_hours.clear()
        self._target_hours.update(found.targets)

    def _points(self, body: bytes, metrics: _Metrics, kind: _Kind, data_spans: Spans) -> _Points:
        data = Fields(body, data_spans.few())
        spans = data.spans(chunk(1)).few()
        fields = Fields(body, spans)
        monotonic = (data.int64(varint(3)) != 0).tolist()
        metric_of, owners = data_spans.parents.tolist(), spans.parents
        shared = [
            self._number(metrics, metric, kind, counts)
            for metric, counts in zip(metric_of, monotonic, strict=True)
        ]
        runs, run_spans = fields.runs(chunk(kind.attributes), body)
        keys = np.empty((len(spans), 2), np.int64)
        keys[:, 0] = np.array(shared, np.int64)[owners]
        keys[:, 1] = self._attributes.numbers(runs, run_spans)
        edges = 16 * np.arange(len(spans) + 1)
        key_spans = Spans(owners, edges[:-1], edges[1:])
        met: dict[Metadata, None] = {}

        def read(missing: Sequence[int]) -> list[Definition]:
            found = []
            for place in missing:
                metric = metric_of[owners[place]]
                is_counter = kind.is_sum and monotonic[owners[place]]
                run = run_spans.one(runs, place)
                known = _definition(metrics, metric, kind, run, is_counter=is_counter)
                type = MetricType.COUNTER if is_counter else kind.type
                unit, help = metrics.units[metric], metrics.helps.one(body, metric)
                if described := metadata(name_of(known), type.value, unit, help):
                    met[described] = None
                found.append(known)
            return found

        return _Points(
            body=body,
            fields=fields,
            definitions=self._known.of(keys.tobytes(), key_spans, read),
            temporality=data.int64(varint(2))[spans.parents],
            metrics=data_spans.parents[spans.parents],
            metadata=[*met],
        )

    def _number(self, metrics: _Metrics, metric: int, kind: _Kind, counts: bool) -> int:
        """A number for what the points of a metric share; never given twice."""
        digest = blake2b(metrics.resources.digests[metrics.owners[metric]], digest_size=16)
        name = metrics.names[metric]
        digest.update(b"%d %d %d " % (kind.field, counts, len(name)) + name)
        digest.update(metrics.units[metric])
        key = digest.digest()
        known = self._numbers.get(key)
        if known is None:
            if len(self._numbers) >= _MOST_KEPT:
                self._numbers.clear()
            known = self._numbers[key] = self._next
            self._next += 1
        return known

    def _add_gauges(self, points: _Points, rows: Rows) -> None:
        found = kinds.numbers(points.fields)
        is_delta = np.zeros(len(points.definitions), np.bool_)
        rows.add_points(points.definitions, found, is_delta, found.broken, _NO_VALUE)

    def _add_sums(self, points: _Points, rows: Rows) -> None:
        found = kinds.numbers(points.fields)
        is_delta = points.temporality == kinds.DELTA
        broken = found.broken | kinds.without_temporality(points.temporality)
        rows.add_points(points.definitions, found, is_delta, broken, _NO_VALUE)

    def _add_explicit(self, points: _Points, rows: Rows) -> None:
        found, broken = kinds.explicit(points.body, points.fields, points.temporality)
        rows.add_histograms(points.definitions, found, broken, self._steps)

    def _add_exponential(self, points: _Points, rows: Rows) -> None:
        found, broken = kinds.exponential(points.body, points.fields, points.temporality)
        rows.add_histograms(points.definitions, found, broken, self._steps)

    def _add_summaries(self, points: _Points, rows: Rows) -> None:
        found, broken = kinds.summaries(points.fields)
        first = rows.records
        rows.add_histograms(points.definitions, found, broken, self._steps)
        of, which, values = kinds.quantiles(points.body, points.fields)
        parts = [
            self._steps.quantile(points.definitions[owner], quantile)
            for owner, quantile in zip(of.tolist(), which.tolist(), strict=True)
        ]
        rows.add_beside(parts, of + first, found.timestamps_ms[of], values)

    def _add_targets(self, rows: Rows, metrics: _Metrics, now_ms: int) -> dict[bytes, int]:
        """`target_info` of each resource, once an hour; which resources, and the hour."""
        hour, resources = now_ms // _HOUR_MS, metrics.resources
        places = {digest: place for place, digest in enumerate(resources.digests)}
        due = sorted(each for each in places if self._target_hours.get(each) != hour)
        found = [resources.target(places[each]) for each in due]
        made = [each for each in found if isinstance(each, SeriesKey)]
        count = len(made)
        records = np.full(count, NO_RECORD, np.int64)
        rows.add_beside(made, records, np.full(count, now_ms, np.int64), np.ones(count))
        return dict.fromkeys(due, hour)


def _definition(
    metrics: _Metrics, metric: int, kind: _Kind, run: bytes, *, is_counter: bool
) -> Definition:
    try:
        name = metric_name(
            metrics.names[metric].decode(),
            metrics.units[metric].decode(),
            is_counter=is_counter,
            is_gauge=kind.is_gauge,
        )
        own = labels_of(pairs(kind.message.FromString(run).attributes))
        labels = labelled(own, metrics.resources.labels(metrics.owners[metric]))
    except (DecodeError, UnicodeDecodeError):
        return LabelsRefused(UNREADABLE)
    except LabelsRefused as refusal:
        return refusal
    return definition([*(labels | {METRIC_NAME: name}).items()])
