"""The compiled loops over spans and log records of OTLP: each message once, known attributes alone.

All places are offsets into the body; what nobody asks for is skipped by its length, unread.
"""

from typing import Final

import numba
import numpy as np

from mesh.jit import (
    BYTES,
    COUNTS,
    INT32_ROWS,
    INT64_ROWS,
    INT64S,
    UINT8_ROWS,
    UINT8S,
    UINT64_ROWS,
    VERDICT,
    kernel,
)
from services.ingest.wire.varints import take_field

OK: Final = 0
BROKEN: Final = 1
FULL: Final = 2

NUMBER: Final = -3
"""In place of the end of a text: the attribute is a number, which stands where texts begin."""
ABSENT: Final = -1


@numba.njit(inline="never")
def _known(body, start, end, keys, key_ends, slots):  # type: ignore[no-untyped-def]
    """The number of a key; -1 for one that is not known."""
    size, found = end - start, np.int64(-1)
    if size > 3 and size <= 40:
        begin, length, one = np.uint64(start), np.uint64(size), np.uint64(1)
        middle = np.int64(body[begin + length // np.uint64(2)])
        slot = np.uint64((size * 7 + middle * 31 + np.int64(body[np.uint64(end - 2)]) * 5) & 255)
        while found < 0 and slots[slot] >= 0:
            key = slots[slot]
            first = np.uint64(key_ends[key - 1] if key > 0 else np.int64(0))
            if np.uint64(key_ends[key]) - first == length:
                place = np.uint64(0)
                while place < length and keys[first + place] == body[begin + place]:
                    place += one
                if place == length:
                    found = key
            slot = (slot + one) & np.uint64(255)
    return found


@kernel(
    COUNTS,
    BYTES,
    INT64S,
    INT64S,
    UINT8_ROWS,
    INT64_ROWS,
    UINT64_ROWS,
    INT64_ROWS,
    INT64_ROWS,
    INT64_ROWS,
)
def read_spans(body, starts, ends, ids, texts, numbers, attributes, events, of_events):  # type: ignore[no-untyped-def]
    """Reads spans.

    Args:
        body: The bytes in which all spans lie.
        starts: Where each span begins.
        ends: Where it ends.
        ids: Out, a row a span: 16 bytes of trace_id, 8 of span_id, 8 of the parent. Filled with 0.
        texts: Out: the sizes of these three as they were sent, then begin and end of name and of
            trace_state.
        numbers: Out: start, end, kind, status, flags.
        attributes: Out: span, begin and end of each attribute.
        events: Out: span, time, begin and end of the name of each event.
        of_events: Out: event, begin and end of each attribute of an event.

    Returns:
        OK, BROKEN or FULL, and how many attributes, events and attributes of events there are.
    """
    found, held, own = np.int64(0), np.int64(0), np.int64(0)
    for span in range(len(starts)):
        at, end = starts[span], ends[span]
        while at < end:
            tag, value, after = take_field(body, at, end)
            if after < 0:
                return 1, 0, 0, 0
            at = after
            if tag == 10 or tag == 18 or tag == 34:
                which = 0 if tag == 10 else (1 if tag == 18 else 2)
                width = 16 if tag == 10 else 8
                begin = 0 if tag == 10 else (16 if tag == 18 else 24)
                first = np.int64(value)
                texts[span, which] = after - first
                for place in range(min(width, after - first)):
                    ids[span, begin + place] = body[first + place]
            elif tag == 42:
                texts[span, 3], texts[span, 4] = np.int64(value), after
            elif tag == 26:
                texts[span, 5], texts[span, 6] = np.int64(value), after
            elif tag == 57:
                numbers[span, 0] = value
            elif tag == 65:
                numbers[span, 1] = value
            elif tag == 48:
                numbers[span, 2] = value
            elif tag == 133:
                numbers[span, 4] = value
            elif tag == 122:
                inner = np.int64(value)
                while inner < after:
                    kind, content, behind = take_field(body, inner, after)
                    if behind < 0:
                        return 1, 0, 0, 0
                    inner = behind
                    if kind == 24:
                        numbers[span, 3] = content
            elif tag == 74:
                if own == len(attributes):
                    return 2, 0, 0, 0
                attributes[own, 0] = span
                attributes[own, 1], attributes[own, 2] = np.int64(value), after
                own += 1
            elif tag == 90:
                if found == len(events):
                    return 2, 0, 0, 0
                events[found, 0] = span
                inner = np.int64(value)
                while inner < after:
                    kind, content, behind = take_field(body, inner, after)
                    if behind < 0:
                        return 1, 0, 0, 0
                    inner = behind
                    if kind == 9:
                        events[found, 1] = np.int64(content)
                    elif kind == 18:
                        events[found, 2], events[found, 3] = np.int64(content), behind
                    elif kind == 26:
                        if held == len(of_events):
                            return 2, 0, 0, 0
                        of_events[held, 0] = found
                        of_events[held, 1], of_events[held, 2] = np.int64(content), behind
                        held += 1
                found += 1
    return 0, own, found, held


@kernel(
    VERDICT,
    BYTES,
    INT64S,
    INT64S,
    UINT8_ROWS,
    INT64_ROWS,
    UINT64_ROWS,
    INT64_ROWS,
)
def read_records(body, starts, ends, ids, texts, numbers, attributes):  # type: ignore[no-untyped-def]
    """Reads log records; arguments as of `read_spans`, but for these.

    Args:
        body: As there.
        starts: As there.
        ends: As there.
        ids: Out: 16 bytes of trace_id, 8 of span_id.
        texts: Out: the sizes of these two, then begin and end of body, severity_text, event_name. A
            body that is no text has none.
        numbers: Out: time, observed time, severity.
        attributes: Out: record, begin and end of each attribute.

    Returns:
        OK, BROKEN or FULL, and how many attributes there are.
    """
    own = np.int64(0)
    for record in range(len(starts)):
        at, end = starts[record], ends[record]
        while at < end:
            tag, value, after = take_field(body, at, end)
            if after < 0:
                return 1, 0
            at = after
            if tag == 9:
                numbers[record, 0] = value
            elif tag == 89:
                numbers[record, 1] = value
            elif tag == 16:
                numbers[record, 2] = value
            elif tag == 74 or tag == 82:
                begin, width = (0, 16) if tag == 74 else (16, 8)
                first = np.int64(value)
                texts[record, 0 if tag == 74 else 1] = after - first
                for place in range(min(width, after - first)):
                    ids[record, begin + place] = body[first + place]
            elif tag == 26:
                texts[record, 4], texts[record, 5] = np.int64(value), after
            elif tag == 98:
                texts[record, 6], texts[record, 7] = np.int64(value), after
            elif tag == 42:
                inner = np.int64(value)
                while inner < after:
                    kind, content, behind = take_field(body, inner, after)
                    if behind < 0:
                        return 1, 0
                    inner = behind
                    if kind == 10:
                        texts[record, 2], texts[record, 3] = np.int64(content), behind
                    elif kind >= 16 and kind <= 63:
                        texts[record, 2], texts[record, 3] = 0, 0
            elif tag == 50:
                if own == len(attributes):
                    return 2, 0
                attributes[own, 0] = record
                attributes[own, 1], attributes[own, 2] = np.int64(value), after
                own += 1
    return 0, own


@kernel(
    VERDICT,
    BYTES,
    INT64_ROWS,
    UINT8S,
    INT64S,
    INT64S,
    INT32_ROWS,
    INT32_ROWS,
)
def read_attributes(body, attributes, keys, key_ends, slots, firsts, lasts):  # type: ignore[no-untyped-def]
    """Notes where the values of known attributes lie. Of a key that comes twice the last counts.

    Args:
        body: The bytes in which all lie.
        attributes: Of each: the message that it belongs to, its begin and its end.
        keys: The known keys, one behind the other.
        key_ends: Where each ends.
        slots: Hash table of the keys: number of a key, or -1.
        firsts: Out, a row a message: where the text of each known attribute begins, or its number.
        lasts: Out: where it ends, NUMBER or ABSENT. Filled with ABSENT.

    Returns:
        OK or BROKEN, and 0.
    """
    for which in range(len(attributes)):
        key = np.int64(-1)
        first, last = np.int64(0), np.int64(-1)
        at, end = attributes[which, 1], attributes[which, 2]
        while at < end:
            tag, value, after = take_field(body, at, end)
            if after < 0:
                return 1, 0
            if tag == 10:
                key = _known(body, np.int64(value), after, keys, key_ends, slots)
            elif tag == 18:
                inner = np.int64(value)
                while inner < after:
                    kind, content, behind = take_field(body, inner, after)
                    if behind < 0:
                        return 1, 0
                    if kind == 10:
                        first, last = np.int64(content), behind
                    elif kind == 24:
                        number = np.int64(content)
                        first = min(max(number, np.int64(-1)), np.int64(0x7FFFFFFF))
                        last = np.int64(-3)
                    elif kind >= 16 and kind <= 63:
                        first, last = np.int64(0), np.int64(-1)
                    inner = behind
            at = after
        if key >= 0:
            firsts[attributes[which, 0], key] = first
            lasts[attributes[which, 0], key] = last
    return 0, 0


@numba.njit(inline="never")
def _host_end(body, first, last):  # type: ignore[no-untyped-def]
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


@kernel(
    VERDICT,
    BYTES,
    INT64S,
    INT64_ROWS,
    UINT64_ROWS,
    INT64S,
    INT32_ROWS,
    INT32_ROWS,
    INT64S,
    UINT8S,
    INT64S,
)
def span_keys(body, spans, texts, numbers, owners, firsts, lasts, parts, arena, key_ends):  # type: ignore[no-untyped-def]
    """Writes for each span, one behind the other, all that its operation and its peer come from.

    Runs of two digits and more of a name become one byte 1, so that names with numbers in them are
    few.

    Args:
        body: The bytes in which all texts lie.
        spans: Which spans.
        texts: As `read_spans` has it. So are the next and, by `read_attributes`, `firsts`, `lasts`.
        numbers: As there.
        owners: The number of each span's resource.
        firsts: As there.
        lasts: As there.
        parts: Of each known attribute: 1 it belongs to the key, 2 its host and port do, 0 it does
            not.
        arena: Out: the keys.
        key_ends: Out: where each ends.

    Returns:
        OK or FULL, and the bytes that were used.
    """
    used = np.int64(0)
    room = len(arena)
    for which in range(len(spans)):
        span = spans[which]
        first, last = texts[span, 3], texts[span, 4]
        if used + (last - first) + 16 > room:
            return 2, used
        owner = owners[span]
        for shift in range(4):
            arena[used + shift] = np.uint8((owner >> (8 * shift)) & 255)
        arena[used + 4] = np.uint8(min(numbers[span, 2], np.uint64(255)))
        used += 5
        at = first
        while at < last:
            byte = body[at]
            if byte >= 48 and byte <= 57 and at + 1 < last and 48 <= body[at + 1] <= 57:
                while at < last and body[at] >= 48 and body[at] <= 57:
                    at += 1
                arena[used] = 1
            else:
                arena[used] = byte
                at += 1
            used += 1
        for part in range(len(parts)):
            if parts[part] == 0 or lasts[span, part] == -1:
                continue
            begin, end = np.int64(firsts[span, part]), np.int64(lasts[span, part])
            if used + 16 > room:
                return 2, used
            arena[used] = 0
            arena[used + 1] = np.uint8(part + 2)
            used += 2
            if end == -3:
                for nibble in range(8):
                    arena[used] = np.uint8(48 + ((begin >> (4 * nibble)) & 15))
                    used += 1
                continue
            if parts[part] == 2:
                end = _host_end(body, begin, end)
            end = min(end, begin + 256)
            if used + (end - begin) + 16 > room:
                return 2, used
            for at in range(begin, end):
                arena[used] = body[at]
                used += 1
        key_ends[which] = used
    return 0, used
