"""Samples, and batches of them as columns."""

import zlib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from struct import pack, unpack
from typing import Final

from sensus.core.v1 import series_pb2
from sensus.ingest.v1 import ingest_service_pb2 as pb

Labels = tuple[tuple[str, str], ...]
"""Pairs of name and value, sorted by name; the metric name is the value of `__name__`."""

MAX_SAMPLES: Final = 100_000
"""Samples of one batch; the server takes no more."""

_FAST: Final = 1
_LABELS_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one series.

    Attributes:
        labels: The label set with `__name__`, sorted by name.
        timestamp_ms: Milliseconds since the Unix epoch.
        value: NaN and infinities are allowed.
    """

    labels: Labels
    timestamp_ms: int
    value: float

    @classmethod
    def of(cls, labels: Mapping[str, str], value: float, *, timestamp_ms: int) -> "Sample":
        """A sample of labels in any order."""
        return cls(tuple(sorted(labels.items())), timestamp_ms, value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Samples in three columns of equal length.

    Attributes:
        series: The label sets, each once.
        refs: Of each row the place of its label set in `series`.
        timestamps_ms: Milliseconds since the Unix epoch, signed, of each row.
        values: Of each row.
    """

    series: Sequence[Labels]
    refs: Sequence[int]
    timestamps_ms: Sequence[int]
    values: Sequence[float]

    @classmethod
    def of(cls, samples: Iterable[Sample]) -> "Batch":
        """Sorts samples into columns; their order stays.

        Raises:
            ValueError: There are none or more than 100,000, a label set is none that
                `check_labels` takes, a time is no whole number of 64 bits, or a value no number.
        """
        place_by_labels: dict[Labels, int] = {}
        refs, timestamps_ms, values = [], [], []
        for sample in samples:
            refs.append(place_by_labels.setdefault(sample.labels, len(place_by_labels)))
            timestamps_ms.append(sample.timestamp_ms)
            values.append(sample.value)
        if not 0 < len(refs) <= MAX_SAMPLES:
            raise ValueError(f"a batch of {len(refs)} samples: send 1 to {MAX_SAMPLES}")
        _check_numbers(timestamps_ms, values)
        for labels in place_by_labels:
            check_labels(labels)
        series = tuple(place_by_labels)
        return cls(series=series, refs=refs, timestamps_ms=timestamps_ms, values=values)

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.refs)

    def columns(self, ref_by_place: Sequence[int]) -> pb.SampleColumns:
        """The columns as they travel, each row with the number of its series on the stream."""
        count = len(self.refs)
        return pb.SampleColumns(
            series_refs=pack(f"<{count}I", *(ref_by_place[place] for place in self.refs)),
            timestamps_ms=pack(f"<{count}q", *self.timestamps_ms),
            values=pack(f"<{count}d", *self.values),
        )

    def encoded(self) -> bytes:
        """The batch as compressed bytes that stand alone."""
        places = range(len(self.series))
        message = pb.WriteBatchRequest(
            series=[definition(place, labels) for place, labels in enumerate(self.series)],
            batch=pb.SampleBatch(columns=self.columns(places)),
        )
        return zlib.compress(message.SerializeToString(), _FAST)

    @classmethod
    def decoded(cls, data: bytes) -> "Batch":
        """The batch of `encoded`."""
        message = pb.WriteBatchRequest.FromString(zlib.decompress(data))
        columns = message.batch.columns
        count = len(columns.values) // 8
        return cls(
            series=tuple(_pairs(each) for each in message.series),
            refs=unpack(f"<{count}I", columns.series_refs),
            timestamps_ms=unpack(f"<{count}q", columns.timestamps_ms),
            values=unpack(f"<{count}d", columns.values),
        )


def _pairs(defined: pb.SeriesDefinition) -> Labels:
    return tuple((label.name, label.value) for label in defined.labels)


def definition(ref: int, labels: Labels) -> pb.SeriesDefinition:
    """A label set with its number."""
    pairs = [series_pb2.Label(name=name, value=value) for name, value in labels]
    return pb.SeriesDefinition(ref=ref, labels=pairs)


def chunks(samples: Iterable[Sample], size: int) -> Iterator[list[Sample]]:
    """Lists of at most `size` samples, in order."""
    chunk: list[Sample] = []
    for sample in samples:
        chunk.append(sample)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def check_labels(labels: Labels) -> None:
    """Whether a label set can be sent, for who takes labels from outside.

    Raises:
        ValueError: A name or a value is not Unicode text, or all of them have more than a MiB.
    """
    try:
        size = sum(len("".join(pair).encode()) for pair in labels)
    except (UnicodeEncodeError, TypeError) as error:
        message = f"labels {labels!r:.200}: names and values must be Unicode text"
        raise ValueError(message) from error
    if size > _LABELS_BYTES:
        raise ValueError(f"labels {labels!r:.200}: {size} bytes, send at most {_LABELS_BYTES}")


def _check_numbers(timestamps_ms: Sequence[int], values: Sequence[float]) -> None:
    try:
        array("q", timestamps_ms)
    except OverflowError:
        raise ValueError("a timestamp is beyond 64 bits: send milliseconds since 1970") from None
    except TypeError as error:
        raise ValueError(f"a timestamp is no whole number of milliseconds: {error}") from None
    try:
        array("d", values)
    except (OverflowError, TypeError) as error:
        raise ValueError(f"a value is no number: {error}") from None
