"""ExportMetricsServiceRequest as rows, without message objects for what was met before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from google.protobuf.message import DecodeError

from services.ingest.histograms import HistogramSteps
from services.ingest.label_sets import MOST, LabelSets
from services.ingest.model.definitions import definition
from services.ingest.model.exemplars import MOST_OF_BODY, Exemplar
from services.ingest.model.foreign import NO_RECORD, ForeignBatch
from services.ingest.model.labels import METRIC_NAME, LabelsRefused, SeriesKey
from services.ingest.model.metadata import Metadata, metadata, name_of
from services.ingest.model.samples import Int64s
from services.ingest.model.writes import Definition
from services.ingest.naming import labels_of, metric_name
from services.ingest.otlp import points as kinds
from services.ingest.otlp.attributes import labelled, pairs
from services.ingest.otlp.exemplars import exemplars
from services.ingest.otlp.metric_forms import BODY, HISTOGRAM, KINDS, SUMMARY, Kind, Metrics
from services.ingest.otlp.resources import UNREADABLE
from services.ingest.rows import ANY_TIME, Rows, joined
from services.ingest.wire.fields import MOST_MESSAGES, Fields, Spans, chunk, varint
from services.ingest.wire.texts import Texts
from services.ingest.wire.trees import TreeReader

_NO_VALUE: Final = "the point has no value, or its metric tells no aggregation temporality"
_HOUR_MS: Final = 3_600_000
_MOST_KEPT: Final = 50_000


@dataclass(frozen=True, slots=True)
class OtlpMetrics:
    """What a body says. A record is a data point; its place is that of its metric.

    Attributes:
        targets: Resources of which `batch` has `target_info`, and the hour for which it holds.
        exemplars: How many were sent.
        examples: Those of them that lead to a trace.
    """

    batch: ForeignBatch
    metrics: Metrics
    metadata: Sequence[Metadata]
    targets: Mapping[int, int]
    exemplars: int
    examples: Sequence[Exemplar]


class _Body:
    """A body that is being read."""

    def __init__(
        self, metrics: Metrics, resources: Int64s, numbers: Int64s, latest_ms: int
    ) -> None:
        """`resources` and `numbers` are what stands for each resource and each metric."""
        self.metrics = metrics
        self.resources = resources
        self.numbers = numbers
        self.rows = Rows(latest_ms)
        self.places: list[Int64s] = []
        self.met: dict[Metadata, None] = {}
        self.exemplars = 0
        self.examples: list[Exemplar] = []

    def add_exemplars(self, spans: Spans, definitions: Sequence[Definition]) -> None:
        """Takes the exemplars of some points, whose label sets are given."""
        if len(spans):
            self.exemplars += len(spans)
            self.examples += exemplars(self.metrics.body, spans, definitions)


class OtlpMetricsReader:
    """Reads bodies; remembers label sets from body to body. For one thread."""

    def __init__(self) -> None:
        """Begins knowing nothing."""
        self._tree = TreeReader(BODY)
        self._resources, self._metrics = Texts(MOST_MESSAGES), Texts(MOST_MESSAGES)
        self._known = LabelSets(MOST)
        self._steps = HistogramSteps()
        self._target_hours: dict[int, int] = {}

    def read(self, raw: bytes, latest_ms: int = ANY_TIME) -> OtlpMetrics:
        """The rows of a body. Who is later than `latest_ms` will be refused.

        Raises:
            InvalidInput: BODY_BROKEN or TOO_MANY_FIELDS.
        """
        metrics = Metrics(raw, self._tree.read(raw))
        resources = self._resources.numbers(raw, metrics.resource_spans)
        numbers = self._metrics.numbers(*metrics.heads, resources[metrics.owners])
        body = _Body(metrics, resources, numbers, latest_ms)
        self._add_numbers(body)
        for kind, spans in metrics.distributions():
            self._add_distributions(body, kind, spans)
        batch, targets = body.rows.batch(joined(body.places, np.int64)), dict[int, int]()
        times_ms = batch.timestamps_ms[batch.timestamps_ms <= latest_ms]
        if len(times_ms):
            targets = self._add_targets(body, int(np.maximum.reduce(times_ms)))
            batch = body.rows.batch(batch.places) if targets else batch
        return OtlpMetrics(
            batch, metrics, [*body.met], targets, body.exemplars, body.examples[:MOST_OF_BODY]
        )

    def committed(self, found: OtlpMetrics) -> None:
        """Notes that the rows of a body are durable; until then `target_info` is read again."""
        if len(self._target_hours) > _MOST_KEPT:
            self._target_hours.clear()
        self._target_hours.update(found.targets)

    def _add_numbers(self, body: _Body) -> None:
        data, points = body.metrics.numbers()
        found, metrics, scopes = kinds.numbers(points, data, body.numbers)
        runs, spans = points.pieces("attributes", body.metrics.body)
        definitions = self._definitions(body, metrics, scopes, runs, spans)
        body.rows.add_points(definitions, found, _NO_VALUE)
        body.add_exemplars(body.metrics.exemplars(), definitions)
        body.places.append(metrics)

    def _add_distributions(self, body: _Body, kind: Kind, data: Spans) -> None:
        raw = body.metrics.body
        fields = Fields(raw, data)
        spans = fields.spans(chunk(1)).few()
        points, metrics = Fields(raw, spans), data.parents[spans.parents]
        runs, run_spans = points.runs((chunk(kind.attributes),), raw)
        scopes = body.numbers[metrics] * len(KINDS) + KINDS.index(kind)
        definitions = self._definitions(body, metrics, scopes, runs, run_spans)
        temporality = fields.int64(varint(2))[spans.parents]
        if kind is SUMMARY:
            self._add_summaries(body, definitions, points)
        else:
            read = kinds.explicit if kind is HISTOGRAM else kinds.exponential
            body.rows.add_histograms(definitions, *read(raw, points, temporality), self._steps)
        body.places.append(metrics)
        if kind.exemplars:
            body.add_exemplars(points.spans(chunk(kind.exemplars)), definitions)

    def _add_summaries(
        self, body: _Body, definitions: Sequence[Definition], points: Fields
    ) -> None:
        found, broken = kinds.summaries(points)
        first = body.rows.records
        body.rows.add_histograms(definitions, found, broken, self._steps)
        of, which, values = kinds.quantiles(body.metrics.body, points)
        parts = [
            self._steps.quantile(definitions[owner], quantile)
            for owner, quantile in zip(of.tolist(), which.tolist(), strict=True)
        ]
        body.rows.add_beside(parts, of + first, found.timestamps_ms[of], values)

    def _definitions(
        self, body: _Body, metrics: Int64s, scopes: Int64s, runs: bytes, spans: Spans
    ) -> Sequence[Definition]:
        """The label set of each point, by its attributes, and what stands for metric and kind."""

        def read(missing: Sequence[int]) -> list[Definition]:
            found = []
            for place in missing:
                metric, kind = int(metrics[place]), KINDS[int(scopes[place]) % len(KINDS)]
                known = _definition(body.metrics, metric, kind, spans.one(runs, place))
                unit, help = (body.metrics.text(name, metric) for name in ("unit", "help"))
                if described := metadata(name_of(known), kind.type.value, unit, help):
                    body.met[described] = None
                found.append(known)
            return found

        return self._known.of(runs, spans, read, scopes)

    def _add_targets(self, body: _Body, now_ms: int) -> dict[int, int]:
        """`target_info` of each resource, once an hour; which resources, and the hour."""
        hour = now_ms // _HOUR_MS
        due = {
            number: place
            for place, number in enumerate(body.resources.tolist())
            if self._target_hours.get(number) != hour
        }
        if not due:
            return {}
        found = [body.metrics.resources.target(place) for place in due.values()]
        made = [each for each in found if isinstance(each, SeriesKey)]
        count = len(made)
        records = np.full(count, NO_RECORD, np.int64)
        body.rows.add_beside(made, records, np.full(count, now_ms, np.int64), np.ones(count))
        return dict.fromkeys(due, hour)


def _definition(metrics: Metrics, metric: int, kind: Kind, run: bytes) -> Definition:
    try:
        name = metric_name(
            metrics.text("name", metric).decode(),
            metrics.text("unit", metric).decode(),
            is_counter=kind.is_counter,
            is_gauge=kind.is_gauge,
        )
        own = labels_of(pairs(kind.message.FromString(run).attributes))
        labels = labelled(own, metrics.resources.labels(int(metrics.owners[metric])))
    except (DecodeError, UnicodeDecodeError):
        return LabelsRefused(UNREADABLE)
    except LabelsRefused as refusal:
        return refusal
    return definition([*(labels | {METRIC_NAME: name}).items()])
