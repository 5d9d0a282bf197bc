"""The form of ExportMetricsServiceRequest, and the metrics of one body.

Source: opentelemetry-proto 1.x. Scopes are skipped unread.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from opentelemetry.proto.metrics.v1 import metrics_pb2

from services.ingest.model.metadata import MetricType
from services.ingest.otlp.resources import Resources
from services.ingest.wire.fields import NO_SPANS, Fields, Spans, chunk, fixed64, varint
from services.ingest.wire.trees import Message, Table, Tables


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of metric: its field in Metric, and the fields of attributes and exemplars in points.

    Attributes:
        exemplars: 0 where points have none.
    """

    field: int
    attributes: int
    exemplars: int
    message: Any
    type: MetricType
    is_gauge: bool = False
    is_counter: bool = False


_NUMBER_POINT: Final = metrics_pb2.NumberDataPoint
GAUGE: Final = Kind(5, 7, 5, _NUMBER_POINT, MetricType.GAUGE, is_gauge=True)
SUM: Final = Kind(7, 7, 5, _NUMBER_POINT, MetricType.GAUGE)
COUNTER: Final = Kind(7, 7, 5, _NUMBER_POINT, MetricType.COUNTER, is_counter=True)
HISTOGRAM: Final = Kind(9, 9, 8, metrics_pb2.HistogramDataPoint, MetricType.HISTOGRAM)
EXPONENTIAL: Final = Kind(
    10, 1, 11, metrics_pb2.ExponentialHistogramDataPoint, MetricType.HISTOGRAM
)
SUMMARY: Final = Kind(11, 7, 0, metrics_pb2.SummaryDataPoint, MetricType.SUMMARY)
KINDS: Final = (GAUGE, SUM, COUNTER, HISTOGRAM, EXPONENTIAL, SUMMARY)

EXEMPLAR: Final = Message()
POINT: Final = Message(
    numbers={"time": fixed64(3), "double": fixed64(4), "int": fixed64(6), "flags": varint(8)},
    runs={"attributes": (chunk(7),)},
    parts={chunk(5): EXEMPLAR},
)
NUMBERS: Final = Message(
    numbers={"temporality": varint(2), "monotonic": varint(3)}, parts={chunk(1): POINT}
)
_DISTRIBUTION: Final = Message()
_HEAD: Final = {"name": chunk(1), "help": chunk(2), "unit": chunk(3)}
_METRIC: Final = Message(
    runs={"head": tuple(_HEAD.values())},
    parts={
        **dict.fromkeys((chunk(GAUGE.field), chunk(SUM.field)), NUMBERS),
        **dict.fromkeys((chunk(9), chunk(10), chunk(11)), _DISTRIBUTION),
    },
)
_SCOPE: Final = Message(parts={chunk(2): _METRIC})
_RESOURCE: Final = Message(texts={"resource": chunk(1)}, parts={chunk(2): _SCOPE})
BODY: Final = Message(parts={chunk(1): _RESOURCE})


class Metrics:
    """The metrics of a body as they were sent. What is asked seldom is read when it is asked.

    Attributes:
        resource_spans: The messages Resource of the body.
        owners: The resource of each metric.
        heads: Name, meaning and unit of each as one piece, and the bytes in which the pieces lie.
    """

    def __init__(self, body: bytes, tables: Tables) -> None:
        """Takes what was read of the form BODY."""
        self.body = body
        self._tables = tables
        metrics = tables[_METRIC]
        self.resource_spans = tables[_RESOURCE].spans("resource")
        self.owners = tables[_SCOPE].parents[metrics.parents]
        self.heads = metrics.pieces("head", body)

    @cached_property
    def resources(self) -> Resources:
        """The resources, read."""
        return Resources(self.body, self.resource_spans)

    def text(self, name: str, metric: int) -> bytes:
        """The `name`, `help` or `unit` of a metric."""
        return self._texts[name].one(self.heads[0], metric)

    @cached_property
    def _texts(self) -> dict[str, Spans]:
        fields = Fields(*self.heads)
        return {name: fields.last(tag) for name, tag in _HEAD.items()}

    def numbers(self) -> tuple[Table, Table]:
        """Gauges and sums, and their points."""
        return self._tables[NUMBERS], self._tables[POINT]

    def exemplars(self) -> Spans:
        """Those of gauges and sums; whose they are is the point."""
        return self._tables[EXEMPLAR].whole() if self._tables.count(EXEMPLAR) else NO_SPANS

    def distributions(self) -> Iterator[tuple[Kind, Spans]]:
        """The data of histograms and summaries, by kind; whose they are is the metric."""
        if not self._tables.count(_DISTRIBUTION):
            return
        found = self._tables[_DISTRIBUTION]
        whole = found.whole()
        for kind in (HISTOGRAM, EXPONENTIAL, SUMMARY):
            rows = np.flatnonzero(found.tags == chunk(kind.field))
            if len(rows):
                yield kind, Spans(whole.parents[rows], whole.starts[rows], whole.ends[rows])
