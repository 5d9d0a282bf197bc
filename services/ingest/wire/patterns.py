"""The compiled loop that takes out of texts what varies from line to line."""

from typing import Final

import numpy as np

from mesh.jit import BYTES, INT64_ROWS, INT64S, UINT8S, VERDICT, kernel, loop_part

VARIABLE: Final = 2
"""The byte that stands for a run of variables."""


_VALUE: Final = 1
_QUOTE: Final = 2
_SEPARATOR: Final = 3
_KINDS: Final = np.zeros(256, np.uint8)
"""Of bytes that end something."""
_KINDS[:33] = _KINDS[ord(",")] = _SEPARATOR
_KINDS[list(b"=:")] = _VALUE
_KINDS[list(b"\"'`(<")] = _QUOTE
_TALLIES: Final = np.zeros(256, np.int64)
"""What is counted of a word, in parts of 16 bits, as branches by letters would be guessed wrongly:
those of hexadecimal numbers, slashes, digits.
"""
_TALLIES[list(b"abcdefABCDEF")] = 1
_TALLIES[list(rb"/\\")] = 1 << 16
_TALLIES[list(b"0123456789@")] = 1 << 32


@loop_part
def _is_of_a_word(byte):  # type: ignore[no-untyped-def]
    """Whether a byte is a letter, a digit or `_`; all of other alphabets are."""
    lower = byte | 32
    return (lower >= 97 and lower <= 122) or (byte >= 48 and byte <= 57) or byte == 95 or byte > 127


@loop_part
def _closing(body, start, at, end):  # type: ignore[no-untyped-def]
    """The byte that ends what is quoted from here; 0 when nothing is.

    Quotes are `"` anywhere, `'` and a backtick that follow no letter. What is in `<…>` stands for
    an object, what is in `(…)` right behind a name is what a function was called with.
    """
    byte = body[at]
    if byte == 34:
        return np.int64(34)
    follows_word = at > start and _is_of_a_word(body[at - 1])
    if byte == 39 or byte == 96:
        return np.int64(0) if follows_word else np.int64(byte)
    if at + 2 < end:
        if byte == 60 and not follows_word and _is_of_a_word(body[at + 1]):
            return np.int64(62)
        if byte == 40 and follows_word and body[at + 1] != 41 and body[at + 2] != 41:
            return np.int64(41)
    return np.int64(0)


@loop_part
def _last_closing(body, at, end):  # type: ignore[no-untyped-def]
    """Where the last `)` or `>` is behind a place; nothing that opens later is closed."""
    last = end - 1
    while last > at and body[last] != 41 and body[last] != 62:
        last -= 1
    return last


@kernel(VERDICT, BYTES, INT64S, INT64S, INT64S, UINT8S, INT64_ROWS)
def mask_texts(body, starts, ends, numbers, arena, keys):  # type: ignore[no-untyped-def]
    """Writes each text without its variables, one behind the other; a run of them is VARIABLE.

    At most 64 words and 1024 bytes of a text are read.

    Args:
        body: The bytes in which all texts lie.
        starts: Where each text begins.
        ends: Where it ends.
        numbers: Of each text, what is written before it, in 8 bytes.
        arena: Out: the number and what is left of each text.
        keys: Out: where each begins and, in a second row, where it ends.

    Returns:
        OK or FULL, and the bytes that were used.
    """
    used = np.int64(0)
    for text in range(len(starts)):
        at, end = starts[text], min(ends[text], starts[text] + 1024)
        if used + 2 * (end - at) + 16 > len(arena):
            return 2, used
        keys[0, text] = used
        for shift in range(8):
            arena[used] = np.uint8((numbers[text] >> (8 * shift)) & 255)
            used += 1
        begin = used
        words, follows = 0, False
        closing, opening, depth = np.int64(0), np.int64(0), 0  # of what is quoted here, if anything
        last_closing = np.int64(-1)
        while words < 64:
            while at < end and _KINDS[body[np.uint64(at)]] == _SEPARATOR:
                at += 1
            if at == end:
                break
            words += 1
            start, copied = at, used + np.int64(used > begin)
            kept = start if closing != 0 else np.int64(-1)  # where a value or a quote begins
            tally, tally_kept = np.int64(0), np.int64(0)
            while at < end:
                byte = body[np.uint64(at)]
                kind = _KINDS[byte]
                if kind == _SEPARATOR:
                    break
                arena[np.uint64(copied)] = byte
                copied += 1
                if closing != 0:
                    if byte == closing:
                        depth -= 1
                        closing = closing if depth > 0 else np.int64(0)
                    elif byte == opening:
                        depth += 1
                elif kind == _QUOTE:
                    closing = _closing(body, start, at, end)
                    if closing == 62 or closing == 41:
                        if last_closing < 0:
                            last_closing = _last_closing(body, at, end)
                        closing = closing if at < last_closing else np.int64(0)
                    if closing != 0:
                        opening, depth = np.int64(byte), 1
                        if kept < 0:
                            kept, tally_kept = at, tally
                elif kind == _VALUE and kept < 0:
                    kept, tally_kept = at + 1, tally
                tally += _TALLIES[byte]
                at += 1
            if kept < 0:
                kept, tally_kept = at, tally
            size = kept - start
            is_hexadecimal = tally_kept == size and size > 7
            if tally_kept >= 2 << 16 or size > 40 or is_hexadecimal:
                kept = start
            if kept > start:
                if used > begin:
                    arena[np.uint64(used)] = 32
                    used += 1
                used += size
                follows = False
            if kept < at and not follows:
                if kept == start and used > begin:
                    arena[np.uint64(used)] = 32
                    used += 1
                arena[np.uint64(used)] = 2
                used += 1
                follows = True
        keys[1, text] = used
    return 0, used
