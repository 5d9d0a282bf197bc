"""The compiled loops from packed chunks to columns."""

import numba
import numpy as np

from mesh.jit import BYTES, FLOAT64S, INT64, INT64S, VERDICT, kernel
from services.ingest.packing.layout import BITS, DIFFERENCES, FORMAT, POWERS, ROWS
from services.ingest.wire.varints import take


@numba.njit(inline="always")
def _signed(raw):  # type: ignore[no-untyped-def]
    return np.int64(raw >> np.uint64(1)) ^ -np.int64(raw & np.uint64(1))


@numba.njit
def _take_block(packed, at, end, count, integers):  # type: ignore[no-untyped-def]
    """Fills `integers`; gives the scale and the place behind the block, -1 when it is broken."""
    if at + 2 > end:
        return 0, -1
    scale, width = np.int64(packed[at]) % DIFFERENCES, np.int64(packed[at + 1])
    steps = packed[at] >= DIFFERENCES
    raw, at = take(packed, at + 2, end, 63)
    if at < 0:
        return 0, -1
    first, least, row = _signed(raw), np.int64(0), 0
    if steps:
        raw, at = take(packed, at, end, 63)
        if at < 0:
            return 0, -1
        least, row = _signed(raw), 1
        integers[0] = first
    if width > 64 or at + ((count - row) * width + 7) // 8 > end:
        return 0, -1
    bit = 0
    for place in range(row, count):
        number, left = np.uint64(0), width
        while left > 0:
            some = 8 - bit
            if left < some:
                some = int(left)
            byte = np.uint64(packed[at]) >> np.uint64(8 - bit - some)
            mask = (np.uint64(1) << np.uint64(some)) - np.uint64(1)
            number = (number << np.uint64(some)) | (byte & mask)
            left -= some
            bit += some
            if bit == 8:
                at += 1
                bit = 0
        if steps:
            integers[place] = integers[place - 1] + least + np.int64(number)
        else:
            integers[place] = first + np.int64(number)
    return scale, at + (bit > 0)


@kernel(INT64, BYTES, INT64S, INT64S, INT64S)
def count(packed, starts, ends, counts):  # type: ignore[no-untyped-def]
    """Reads how many samples each chunk holds.

    Args:
        packed: The bytes in which all chunks lie.
        starts: Where each begins.
        ends: Where each ends.
        counts: Out: the number of its samples, at most 64 for each four of its bytes.

    Returns:
        0, or 1 when a chunk is broken.
    """
    for chunk in range(len(starts)):
        at, end = starts[chunk], ends[chunk]
        if at >= end or packed[at] != FORMAT:
            return 1
        raw, at = take(packed, at + 1, end, 63)
        if at < 0 or raw > np.uint64((end - at) * 16):
            return 1
        counts[chunk] = np.int64(raw)
    return 0


@kernel(VERDICT, BYTES, INT64S, INT64S, INT64S, INT64S, FLOAT64S, makes_arrays=True)
def unpack(packed, starts, ends, times, bits, values):  # type: ignore[no-untyped-def]
    """Unpacks chunks.

    Args:
        packed: The bytes in which all chunks lie.
        starts: Where each begins.
        ends: Where each ends.
        times: Out: their times, one chunk behind the other.
        bits: Out: the bits of their values; shares its memory with `values`.
        values: Out: their values.

    Returns:
        0, or 1 when a chunk is broken; and how many samples there are.
    """
    integers = np.empty(ROWS, np.int64)
    row = 0
    for chunk in range(len(starts)):
        end = ends[chunk]
        raw, at = take(packed, starts[chunk] + 1, end, 63)
        left = np.int64(raw)
        while left > 0:
            size = ROWS if left > ROWS else int(left)
            _, at = _take_block(packed, at, end, size, integers)
            if at < 0:
                return 1, row
            for place in range(size):
                times[row + place] = integers[place]
            scale, at = _take_block(packed, at, end, size, integers)
            if at < 0:
                return 1, row
            if scale >= BITS:
                for place in range(size):
                    bits[row + place] = integers[place] << (scale - BITS)
            else:
                factor = POWERS[min(scale, 22)]
                for place in range(size):
                    values[row + place] = integers[place] / factor
            row += size
            left -= size
    return 0, row
