"""What the compiled loops over OTLP traces and logs share: fields, known attributes, small texts.

All places are offsets into the body; what nobody asks for is skipped by its length, unread.
"""

from typing import Final

import numpy as np

from mesh.jit import inlined, loop_part
from services.ingest.wire.varints import take_field, word

OK: Final = 0
BROKEN: Final = 1
FULL: Final = 2

NUMBER: Final = -3
"""In place of the end of a text: the attribute is a number, which stands where texts begin."""
ABSENT: Final = -1
MALFORMED: Final = -2
"""In place of the number of an attribute that breaks its body."""


@inlined
def attribute(body, start, end, known):  # type: ignore[no-untyped-def]
    """An attribute: the number of its key, and where the text of its value begins and ends.

    The value of one that is not known is not looked into. Nearly all are written as a short key and
    one value behind it: these are read here, where the call of a function costs as much. What is
    inlined counts references of its arrays, which costs more.

    Args:
        body: The bytes in which it lies.
        start: Where it begins.
        end: Where it ends.
        known: The known keys: `services.ingest.otlp.known.TABLE`.

    Returns:
        -1 as number of one that is not known, MALFORMED of one that is broken; a number in place of
        the begin with NUMBER as end; ABSENT as end of other values.
    """
    at, limit, place = np.uint64(start), np.uint64(end), np.int64(-1)
    first, last, is_read = np.int64(0), np.int64(-1), False
    if limit - at > np.uint64(4) and body[at] == 10 and body[at + np.uint64(1)] < 128:
        key, size = at + np.uint64(2), np.uint64(body[at + np.uint64(1)])
        value = key + size + np.uint64(2)
        is_short = value <= limit and body[value - np.uint64(2)] == 18
        if is_short and value + np.uint64(body[value - np.uint64(1)]) == limit:
            is_read = True
            if size > np.uint64(3):
                middle = np.uint64(body[key + size // np.uint64(2)])
                slot = np.uint64(body[value - np.uint64(4)]) * np.uint64(5)
                slot = (slot + size * np.uint64(7) + middle * np.uint64(31)) & np.uint64(255)
                if known[slot] != 255:
                    place = _found(body, key, size, slot, known)
            if place >= 0:
                text = value + np.uint64(2)
                is_read = False
                if text <= limit and body[value] == 10 and limit - text < np.uint64(128):
                    is_read = text + np.uint64(body[text - np.uint64(1)]) == limit
                if is_read:
                    first, last = np.int64(text), end
    if not is_read:
        place, first, last = _any_attribute(body, start, end, known)
    return place, first, last


@inlined
def _found(body, begin, size, slot, known):  # type: ignore[no-untyped-def]
    """The number of a key by its place in the hash table; -1 for one that is not known."""
    found, eight, one = np.int64(-1), np.uint64(8), np.uint64(1)
    while found < 0 and known[slot] != 255:
        entry = np.uint64(256) + np.uint64(48) * np.uint64(known[slot])
        if np.uint64(known[entry]) == size:
            first, place = entry + eight, np.uint64(0)
            while place + eight <= size and word(known, first + place) == word(body, begin + place):
                place += eight
            while place < size and known[first + place] == body[begin + place]:
                place += one
            if place == size:
                found = np.int64(known[slot])
        slot = (slot + one) & np.uint64(255)
    return found


@inlined
def role(known, place):  # type: ignore[no-untyped-def]
    """What a known attribute is for."""
    return known[np.uint64(257) + np.uint64(48) * np.uint64(place)]


@loop_part
def _any_attribute(body, start, end, known):  # type: ignore[no-untyped-def]
    """An attribute, in whatever order it is written; returns what `attribute` does."""
    place, at = np.int64(-1), start
    first, last = np.int64(0), np.int64(ABSENT)
    while at < end:
        tag, value, after = take_field(body, at, end)
        if after < 0:
            place = np.int64(MALFORMED)
            break
        at = after
        if tag == 10:
            size, place = np.uint64(after) - value, np.int64(-1)
            if size > np.uint64(3):
                middle = np.uint64(body[value + size // np.uint64(2)])
                slot = np.uint64(body[np.uint64(after) - np.uint64(2)]) * np.uint64(5)
                slot = (slot + size * np.uint64(7) + middle * np.uint64(31)) & np.uint64(255)
                place = _found(body, value, size, slot, known)
        elif tag == 18 and (place >= 0 or at < end):
            inner = np.int64(value)
            while inner < after:
                kind, content, inner = take_field(body, inner, after)
                if inner < 0:
                    break
                if kind == 10:
                    first, last = np.int64(content), inner
                elif kind == 24:
                    number = np.int64(content)
                    first = min(max(number, np.int64(-1)), np.int64(0x7FFFFFFF))
                    last = np.int64(NUMBER)
                elif kind >= 16 and kind <= 63:
                    first, last = np.int64(0), np.int64(ABSENT)
            if inner < 0:
                place = np.int64(MALFORMED)
                break
    return place, first, last


@loop_part
def code(body, first, last):  # type: ignore[no-untyped-def]
    """A status code from 0 to 999, of a number or of a text that is one; -1 for none."""
    if last == NUMBER:
        return first if first < 1000 else np.int64(-1)
    if last - first > 3 or last <= first:
        return np.int64(-1)
    number = np.int64(0)
    for at in range(first, last):
        if body[at] < 48 or body[at] > 57:
            return np.int64(-1)
        number = number * 10 + np.int64(body[at]) - 48
    return number


@loop_part
def host_end(body, first, last):  # type: ignore[no-untyped-def]
    """Where the host and port of a URL end: before its path, its query or its fragment."""
    slashes = 0
    for at in range(first, last):
        byte = body[at]
        if byte == 47:
            slashes += 1
            if slashes == 3:
                return at
        elif byte == 63 or byte == 35:
            return at
    return last


@loop_part
def thinning(body, first, last):  # type: ignore[no-untyped-def]
    """By how many eighths of a power of two a span stands for more than itself: the `th` that the
    first member `ot` of a tracestate says, of which 512 bytes are read.
    """
    last = min(last, first + 512)
    for at in range(first, last - 6):
        starts = at == first or body[at - 1] == 44 or body[at - 1] == 59
        if not starts or body[at] != 111 or body[at + 1] != 116 or body[at + 2] != 61:
            continue
        begin, found = at + 3, np.int64(-1)
        place = begin
        while place < last and body[place] != 44:
            is_part = place == begin or body[place - 1] == 59
            is_part = is_part and place + 3 < last and body[place] == 116
            if is_part and body[place + 1] == 104 and body[place + 2] == 58:
                eighths = _eighths(body, place + 3, last)
                found = eighths if eighths >= 0 else found
            place += 1
        if found >= 0:
            return found
    return np.int64(0)


@loop_part
def _eighths(body, first, last):  # type: ignore[no-untyped-def]
    """Eighths of a power of two of 1 to 14 hexadecimal digits; -1 where there are none."""
    dropped, digits, at = np.uint64(0), 0, first
    while at < last and body[at] != 59 and body[at] != 44:
        byte = np.int64(body[at])
        digit = byte - 48 if byte < 58 else byte - 87
        if digits == 14 or digit < 0 or digit > 15 or (byte > 57 and byte < 97):
            return np.int64(-1)
        dropped = dropped << np.uint64(4) | np.uint64(digit)
        digits += 1
        at += 1
    if digits == 0:
        return np.int64(-1)
    whole = np.uint64(1) << np.uint64(56)
    kept = whole - (dropped << np.uint64(4 * (14 - digits)))
    return min(
        np.int64(255), np.int64(np.rint(-8.0 * np.log2(np.float64(kept) / np.float64(whole))))
    )
