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


@loop_part
def _is_of_a_word(byte):  # type: ignore[no-untyped-def]
    """Whether a byte is a letter, a digit or `_`; all of other alphabets are."""
    lower = byte | 32
    return (lower >= 97 and lower <= 122) or (byte >= 48 and byte <= 57) or byte == 95 or byte > 127


@loop_part
def _last_closing(body, start, end):  # type: ignore[no-untyped-def]
    """Where the last `)` or `>` of a text is: none behind it closes anything."""
    for at in range(end - 1, start - 1, -1):
        if body[at] == 41 or body[at] == 62:
            return at
    return start - 1


@loop_part
def _closing(body, start, at, end, last_closing):  # type: ignore[no-untyped-def]
    """The byte that ends what is quoted from here; 0 when nothing is.

    Quotes are `"` anywhere, `'` and a backtick that follow no letter. What is in `<…>` stands for
    an object, what is in `(…)` right behind a name is what a function was called with.
    """
    byte = body[at]
    if byte == 34:
        return np.int64(34)
    follows_word = at > start and _is_of_a_word(body[at - 1])
    if (byte == 39 or byte == 96) and not follows_word:
        return np.int64(byte)
    if at < last_closing and at + 2 < end:
        if byte == 60 and not follows_word and _is_of_a_word(body[at + 1]):
            return np.int64(62)
        if byte == 40 and follows_word and body[at + 1] != 41 and body[at + 2] != 41:
            return np.int64(41)
    return np.int64(0)


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
        words, follows = 0, False
        closing, opening, depth = np.int64(0), np.int64(0), 0  # of what is quoted here, if anything
        last_closing = _last_closing(body, at, end)
        while at < end and words < 64:
            while at < end and (body[at] <= 32 or body[at] == 44):
                at += 1
            start = at
            while at < end and body[at] > 32 and body[at] != 44:
                at += 1
            if start == at:
                break
            words += 1
            kept = start if closing != 0 else at
            for place in range(start, at):
                byte = np.int64(body[place])
                if closing != 0:
                    if byte == opening and byte != closing:
                        depth += 1
                    elif byte == closing:
                        depth -= 1
                        if depth == 0:
                            closing = np.int64(0)
                elif byte == 34 or byte == 39 or byte == 40 or byte == 60 or byte == 96:
                    closing = _closing(body, start, place, end, last_closing)
                    if closing != 0:
                        opening, depth = byte, 1
                        kept = min(kept, place)
            last = _kept(body, start, kept)
            kept = last if kept > start and not _varies(body, start, last) else start
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
