"""The compiled loop over the points of gauges and sums."""

from typing import Final

import numpy as np

from mesh.jit import COUNTS, FLOAT64_ROWS, FLOAT64S, INT64_ROWS, INT64S, UINT8S, kernel
from services.ingest.otlp.metric_forms import COUNTER, GAUGE, KINDS, NUMBERS, POINT, SUM
from services.ingest.rows import BROKEN, DIFFERENCE, ENDED, INFINITE, NUMBER
from services.ingest.wire.fields import chunk
from services.ingest.wire.trees import BITS, PARENT, TAG

_TIME, _DOUBLE, _INT, _FLAGS = (POINT.columns[name] for name in ("time", "double", "int", "flags"))
_HAS_DOUBLE, _HAS_INT = 1 << _DOUBLE, 1 << _INT
_TEMPORALITY, _MONOTONIC = (NUMBERS.columns[name] for name in ("temporality", "monotonic"))
_SUM: Final = chunk(SUM.field)
_OF_GAUGE, _OF_SUM, _OF_COUNTER = (KINDS.index(each) for each in (GAUGE, SUM, COUNTER))
_KINDS: Final = len(KINDS)
_STALE: Final = 0x7FF0000000000002


@kernel(COUNTS, INT64_ROWS, FLOAT64_ROWS, INT64_ROWS, INT64S, INT64_ROWS, FLOAT64S, UINT8S)
def read_points(points, doubles, data, numbers, rows, values, states):  # type: ignore[no-untyped-def]
    """Reads what each point says, and what is to become of it.

    Args:
        points: The table of `metric_forms.POINT`.
        doubles: The same bytes.
        data: The table of the gauges and sums that hold them.
        numbers: What stands for each metric.
        rows: Out, a column for each point: when it was measured, in ms, its metric, and what stands
            for that and its kind.
        values: Out: its value.
        states: Out: NUMBER, DIFFERENCE, ENDED, BROKEN or INFINITE.

    Returns:
        How many have ended, how many are broken or infinite, and 0 twice.
    """
    ended, refused = np.int64(0), np.int64(0)
    for point in range(len(points)):
        of, bits = points[point, PARENT], points[point, BITS]
        metric, kind, temporality = data[of, PARENT], np.int64(_OF_GAUGE), np.int64(2)
        if data[of, TAG] == _SUM:
            temporality = data[of, _TEMPORALITY]
            kind = np.int64(_OF_COUNTER if data[of, _MONOTONIC] != 0 else _OF_SUM)
        rows[0, point] = np.int64(np.uint64(points[point, _TIME]) // np.uint64(1_000_000))
        rows[1, point] = metric
        rows[2, point] = numbers[metric] * _KINDS + kind
        is_int, has_ended = bits & _HAS_INT != 0, points[point, _FLAGS] & 1 != 0
        has_value = is_int or has_ended or bits & _HAS_DOUBLE != 0
        value = np.float64(points[point, _INT]) if is_int else doubles[point, _DOUBLE]
        values[point] = value
        if not has_value or (temporality != 1 and temporality != 2):
            state = BROKEN
        elif has_ended:
            state = ENDED
            ended += 1
        elif temporality == 2 or (not is_int and points[point, _DOUBLE] == _STALE):
            state = NUMBER
        else:
            state = DIFFERENCE if np.isfinite(value) else INFINITE
        refused += np.int64(state >= BROKEN)
        states[point] = state
    return ended, refused, 0, 0
