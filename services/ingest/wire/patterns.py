"""The compiled loop that takes out of texts what varies from line to line."""

from typing import Final

import numpy as np

from mesh.jit import BYTES, INT64S, UINT8S, VERDICT, kernel, loop_part

VARIABLE: Final = 2
"""The byte that stands for a run of variables."""


@loop_part
def _varies(body, start, end):  # type: ignore[no-untyped-def]
    """Whether a word is a variable: digits, addresses, paths, hexadecimal, quotes."""
    if end - start > 40:
        return True
    slashes, hexadecimal = 0, 0
    for at in range(start, end):
        byte = body[at]
        if (byte >= 48 and byte <= 57) or byte == 64 or byte == 34 or byte < 32:
            return True
        if byte == 47 or byte == 92:
            slashes += 1
        lower = byte | 32
        if lower >= 97 and lower <= 102:
            hexadecimal += 1
    return slashes > 1 or (hexadecimal == end - start and hexadecimal > 7)


@loop_part
def _kept(body, start, end):  # type: ignore[no-untyped-def]
    """Where the part of a word ends that is no value: behind its first `=`, or a `:` within."""
    for at in range(start, end - 1):
        if body[at] == 61 or body[at] == 58:
            return at + 1
    return end


@kernel(VERDICT, BYTES, INT64S, INT64S, INT64S, UINT8S, INT64S)
def mask_texts(body, starts, ends, numbers, arena, key_ends):  # type: ignore[no-untyped-def]
    """Writes each text without its variables, one behind the other; a run of them is VARIABLE.

    At most 64 words and 1024 bytes of a text are read.

    Args:
        body: The bytes in which all texts lie.
        starts: Where each text begins.
        ends: Where it ends.
        numbers: Of each text, what is written before it, in 8 bytes.
        arena: Out: the number and what is left of each text.
        key_ends: Out: where each ends.

    Returns:
        OK or FULL, and the bytes that were used.
    """
    used = np.int64(0)
    for text in range(len(starts)):
        at, end = starts[text], min(ends[text], starts[text] + 1024)
        if used + 2 * (end - at) + 16 > len(arena):
            return 2, used
        for shift in range(8):
            arena[used] = np.uint8((numbers[text] >> (8 * shift)) & 255)
            used += 1
        begin = used
        words, follows, quote = 0, False, np.int64(0)
        while at < end and words < 64:
            while at < end and (body[at] <= 32 or body[at] == 44):
                at += 1
            start = at
            while at < end and body[at] > 32 and body[at] != 44:
                at += 1
            if start == at:
                break
            words += 1
            first = start
            while first < at - 1 and (body[first] == 40 or body[first] == 91 or body[first] == 123):
                first += 1
            is_quoted = quote != 0
            for place in range(first, at):
                byte = body[place]
                if quote != 0 and byte == quote:
                    quote = np.int64(0)
                elif quote == 0 and (byte == 34 or (place == first and (byte == 39 or byte == 96))):
                    quote, is_quoted = np.int64(byte), True
            kept = start
            if not is_quoted:
                last = _kept(body, start, at)
                if not _varies(body, start, last):
                    kept = last
            if kept > start:
                if used > begin:
                    arena[used] = 32
                    used += 1
                for place in range(start, kept):
                    arena[used] = body[place]
                    used += 1
                follows = False
            if kept < at and not follows:
                if kept == start and used > begin:
                    arena[used] = 32
                    used += 1
                arena[used] = 2
                used += 1
                follows = True
        key_ends[text] = used
    return 0, used
