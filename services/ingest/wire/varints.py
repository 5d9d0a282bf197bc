"""The one loop that reads a varint, for other compiled loops."""

import numba
import numpy as np


@numba.njit
def take(body, at, end, most_bits):  # type: ignore[no-untyped-def]
    """Reads an unsigned varint.

    Args:
        body: The bytes.
        at: Where it begins.
        end: Where its message ends.
        most_bits: Up to which bit, 28 or 63, its last seven may begin.

    Returns:
        Its number, and the place behind it: -1 when it is cut off or too long.
    """
    value, shift = np.uint64(0), np.uint64(0)
    while at < end and shift <= np.uint64(most_bits):
        byte = body[at]
        at += 1
        value |= np.uint64(byte & 127) << shift
        if byte < 128:
            return value, at
        shift += np.uint64(7)
    return value, -1
