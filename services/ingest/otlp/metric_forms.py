"""The form of ExportMetricsServiceRequest, and the metrics of one body.

Source: opentelemetry-proto 1.x. Scopes are skipped unread.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from opentelemetry.proto.metrics.v1 import metrics_pb2

from services.ingest.model.metadata import MetricType
from services.ingest.model.samples import Int64s
from services.ingest.otlp.resources import Resources
from services.ingest.wire.fields import Fields, Spans, chunk, fixed64, varint
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
_NUMBERS: Final = Message(
    numbers={"temporality": varint(2), "monotonic": varint(3)}, parts={chunk(1): POINT}
)
_DISTRIBUTION: Final = Message()
_HEAD: Final = {"name": chunk(1), "help": chunk(2), "unit": chunk(3)}
_METRIC: Final = Message(
    runs={"head": tuple(_HEAD.values())},
    parts={
        **dict.fromkeys((chunk(GAUGE.field), chunk(SUM.field)), _NUMBERS),
        **dict.fromkeys((chunk(9), chunk(10), chunk(11)), _DISTRIBUTION),
    },
)
_SCOPE: Final = Message(parts={chunk(2): _METRIC})
_RESOURCE: Final = Message(texts={"resource": chunk(1)}, parts={chunk(2): _SCOPE})
BODY: Final = Message(parts={chunk(1): _RESOURCE})


@dataclass(frozen=True, slots=True)
class Data:
    """The parts of metrics that hold points: of which metric each is, and of which of KINDS."""

    metrics: Int64s
    kinds: Int64s
    temporality: Int64s


class Metrics:
    """The metrics of a body as they were sent. What is asked seldom is read when it is asked."""

    def __init__(self, body: bytes, tables: Tables) -> None:
        """Takes what was read of the form BODY."""
        self.body = body
        self._tables = tables

    @property
    def resource_spans(self) -> Spans:
        """The messages Resource of the body."""
        return self._tables[_RESOURCE].spans("resource")

    @cached_property
    def resources(self) -> Resources:
        """They, read."""
        return Resources(self.body, self.resource_spans)

    @cached_property
    def owners(self) -> Int64s:
        """The resource of each metric."""
        return self._tables[_SCOPE].parents[self._tables[_METRIC].parents]

    @cached_property
    def heads(self) -> tuple[bytes, Spans]:
        """Name, meaning and unit of each as one piece, and the bytes in which the pieces lie."""
        return self._tables[_METRIC].pieces("head", self.body)

    def text(self, name: str, metric: int) -> bytes:
        """The `name`, `help` or `unit` of a metric."""
        return self._texts[name].one(self.heads[0], metric)

    @cached_property
    def _texts(self) -> dict[str, Spans]:
        fields = Fields(*self.heads)
        return {name: fields.last(tag) for name, tag in _HEAD.items()}

    def numbers(self) -> tuple[Data, Table]:
        """Gauges and sums, and their points."""
        found = self._tables[_NUMBERS]
        is_sum = found.tags == chunk(SUM.field)
        is_monotonic = is_sum & (found.int64("monotonic") != 0)
        kinds = is_sum * KINDS.index(SUM) + is_monotonic * (KINDS.index(COUNTER) - 1)
        data = Data(found.parents, kinds.astype(np.int64), found.int64("temporality") * is_sum)
        return data, self._tables[POINT]

    def exemplars(self) -> Spans:
        """Those of gauges and sums; whose they are is the point."""
        return self._tables[EXEMPLAR].whole()

    def distributions(self, kind: Kind) -> Spans:
        """The data of histograms or summaries; whose they are is the metric."""
        found = self._tables[_DISTRIBUTION]
        whole = found.whole()
        if not len(found):
            return whole
        of_kind = np.flatnonzero(found.tags == chunk(kind.field))
        return Spans(whole.parents[of_kind], whole.starts[of_kind], whole.ends[of_kind])
