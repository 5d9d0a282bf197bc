"""The compiled loop from columns to packed chunks."""

import numba
import numpy as np

from mesh.jit import FLOAT64S, INT64, INT64S, UINT8S, kernel
from services.ingest.packing.layout import BITS, DIFFERENCES, DIGITS, FORMAT, POWERS, ROWS


@numba.njit(inline="always")
def _width(span):  # type: ignore[no-untyped-def]
    """Bits that hold 0 to `span`; more than 56 are 64."""
    bits = 0
    while span > np.uint64(0):
        span >>= np.uint64(1)
        bits += 1
    return 64 if bits > 56 else bits


@numba.njit
def _put_varint(out, at, number):  # type: ignore[no-untyped-def]
    raw = (np.uint64(number) << np.uint64(1)) ^ np.uint64(number >> 63)
    while raw > np.uint64(127):
        out[at] = np.uint8(raw & np.uint64(127)) | np.uint8(128)
        raw >>= np.uint64(7)
        at += 1
    out[at] = np.uint8(raw)
    return at + 1


@numba.njit
def _put_integers(out, at, integers, first, count, least, width):  # type: ignore[no-untyped-def]
    """Writes `count` integers from `first` on, each less `least`; gives the place behind them."""
    held, bits = np.uint64(0), 0
    for row in range(first, first + count):
        number = np.uint64(integers[row]) - np.uint64(least)
        left = width
        while left > 0:
            some = left if left < 8 - bits else 8 - bits
            left -= some
            part = (number >> np.uint64(left)) & ((np.uint64(1) << np.uint64(some)) - np.uint64(1))
            held = (held << np.uint64(some)) | part
            bits += some
            if bits == 8:
                out[at] = np.uint8(held)
                at += 1
                held, bits = np.uint64(0), 0
    if bits > 0:
        out[at] = np.uint8(held << np.uint64(8 - bits))
        at += 1
    return at


@numba.njit
def _spans(integers, count):  # type: ignore[no-untyped-def]
    """Widths and least integers: of the integers, and of their differences (65: too far apart)."""
    low, high = integers[0], integers[0]
    for row in range(1, count):
        low, high = min(low, integers[row]), max(high, integers[row])
    plain = _width(np.uint64(high) - np.uint64(low))
    if count == 1 or high - low < 0:
        return plain, low, 65, np.int64(0)
    least, most = integers[1] - integers[0], integers[1] - integers[0]
    for row in range(2, count):
        step = integers[row] - integers[row - 1]
        least, most = min(least, step), max(most, step)
    return plain, low, _width(np.uint64(most) - np.uint64(least)), least


@numba.njit
def _put_block(out, at, integers, count, scale, scratch):  # type: ignore[no-untyped-def]
    plain, low, stepped, least = _spans(integers, count)
    if stepped + 1 < plain and stepped <= 56:
        out[at], out[at + 1] = np.uint8(scale + DIFFERENCES), np.uint8(stepped)
        at = _put_varint(out, at + 2, integers[0])
        at = _put_varint(out, at, least)
        for row in range(1, count):
            scratch[row] = integers[row] - integers[row - 1]
        return _put_integers(out, at, scratch, 1, count - 1, least, stepped)
    if plain == 64:
        low = np.int64(0)
    out[at], out[at + 1] = np.uint8(scale), np.uint8(plain)
    at = _put_varint(out, at + 2, low)
    return _put_integers(out, at, integers, 0, count, low, plain)


@numba.njit
def _decimals(values, first, count, integers):  # type: ignore[no-untyped-def]
    """The least power of ten that makes all values integers, which come back the same; else -1."""
    for power in range(DIGITS + 1):
        factor = POWERS[power]
        row = 0
        while row < count:
            value = values[first + row]
            number = np.rint(value * factor)
            if not abs(number) < 9007199254740992.0:
                return -1
            back = number / factor
            if back != value or (value == 0.0 and np.signbit(value)):
                break
            integers[row] = np.int64(number)
            row += 1
        if row == count:
            return power
    return -1


@numba.njit
def _shifted(bits, first, count, integers):  # type: ignore[no-untyped-def]
    """The bits of the values without the zeros that all end in; how many those are."""
    together = np.uint64(0)
    for row in range(count):
        together |= np.uint64(bits[first + row])
    shift = 0
    while (
        shift < 63 and together > np.uint64(0) and not (together >> np.uint64(shift)) & np.uint64(1)
    ):
        shift += 1
    for row in range(count):
        integers[row] = bits[first + row] >> shift
    return shift


@numba.njit
def _cost(integers, count):  # type: ignore[no-untyped-def]
    plain, _, stepped, _ = _spans(integers, count)
    return min(plain, stepped + 1)


@kernel(INT64, INT64S, FLOAT64S, INT64S, INT64S, UINT8S, INT64S, makes_arrays=True)
def pack(times, values, bits, ends, out, out_ends):  # type: ignore[no-untyped-def]
    """Packs chunks that lie one behind the other.

    Args:
        times: Milliseconds since the Unix epoch, ascending within a chunk.
        values: The value at each time.
        bits: The same values as integers of the same bits.
        ends: Where each chunk ends; none is empty.
        out: Out: the packed chunks, one behind the other; MOST_BYTES for each ROWS samples begun,
            and 11 for each chunk.
        out_ends: Out: where each ends.

    Returns:
        The bytes that were written.
    """
    integers, others = np.empty(ROWS, np.int64), np.empty(ROWS, np.int64)
    scratch = np.empty(ROWS, np.int64)
    at, row = 0, 0
    for chunk in range(len(ends)):
        end = ends[chunk]
        out[at] = np.uint8(FORMAT)
        number = end - row
        at += 1
        while number > 127:
            out[at] = np.uint8(number & 127) | np.uint8(128)
            number >>= 7
            at += 1
        out[at] = np.uint8(number)
        at += 1
        while row < end:
            count = end - row if end - row < ROWS else ROWS
            for place in range(count):
                integers[place] = times[row + place]
            at = _put_block(out, at, integers, count, 0, scratch)
            power = _decimals(values, row, count, integers)
            shift = _shifted(bits, row, count, others)
            if power >= 0 and _cost(integers, count) <= _cost(others, count):
                at = _put_block(out, at, integers, count, power, scratch)
            else:
                at = _put_block(out, at, others, count, BITS + shift, scratch)
            row += count
        out_ends[chunk] = at
    return at
