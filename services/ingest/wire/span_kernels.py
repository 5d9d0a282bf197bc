"""The compiled loop over spans of OTLP: each byte once, of attributes those that are known."""

from typing import Final

import numpy as np

from mesh.jit import (
    BYTES,
    COUNTS,
    INT32_ROWS,
    INT64_ROWS,
    INT64S,
    NOTHING,
    UINT8S,
    UINT64,
    UINT64_ROWS,
    UINT64S,
    kernel,
    loop_part,
)
from services.ingest.model import events
from services.ingest.wire.event_fields import (
    MALFORMED,
    NUMBER,
    attribute,
    code,
    host_end,
    role,
    thinning,
)
from services.ingest.wire.varints import take_field, word

_EXCEPTION: Final = events.RECORD | events.SPAN_EXCEPTION << 32 | events.ERROR << 56
"""The last word of the row of an exception."""


@loop_part
def _key(body, about, good, number, kind, said, known, arena, used):  # type: ignore[no-untyped-def]
    """Writes all that the operation of a span and its peer come from; where it ends.

    Runs of two digits and more of a name become one byte 1, so that names with numbers in them are
    few. Sizes stand before attributes, so that no two spans have one key by what they say.
    """
    for shift in range(4):
        arena[used + shift] = np.uint8((number >> (8 * shift)) & 255)
    arena[used + 4] = np.uint8(kind)
    used += 5
    for which in range(about[good, 3], about[good, 4]):
        place = said[which, 0]
        begin, end = np.int64(said[which, 1]), np.int64(said[which, 2])
        arena[used] = np.uint8(place + 1)
        if end < 0:
            arena[used + 1], arena[used + 2] = np.uint8(255), np.uint8(-end)
            for shift in range(4):
                arena[used + 3 + shift] = np.uint8((begin >> (8 * shift)) & 255)
            used += 7
            continue
        if role(known, place) == 2:
            end = host_end(body, begin, end)
        end = min(end, begin + 256)
        arena[used + 1] = np.uint8((end - begin) & 127)
        arena[used + 2] = np.uint8((end - begin) >> 7)
        used += 3
        for at in range(begin, end):
            arena[used] = body[at]
            used += 1
    arena[used] = 0
    used += 1
    at, last = about[good, 1], min(about[good, 2], about[good, 1] + 1024)
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
    return used


@loop_part
def _exceptions(body, start, end, row, known, errors, raised):  # type: ignore[no-untyped-def]
    """Notes an event of a span where it is an exception; how many there are, -1 where it is broken,
    -2 where there is no room.
    """
    is_one, time, at = False, np.uint64(0), start
    while at < end:
        tag, value, at = take_field(body, at, end)
        if at < 0:
            return np.int64(-1)
        if tag == 9:
            time = value
        elif tag == 18:
            is_one = np.int64(value) + 9 == at and word(body, value) == np.uint64(
                0x6F69747065637865
            )  # "exceptio"
            is_one = is_one and body[value + np.uint64(8)] == 110
    if not is_one:
        return raised
    if raised == errors.shape[1]:
        return np.int64(-2)
    errors[0, raised], errors[1, raised] = row, np.int64(time)
    for place in range(2, 8):
        errors[place, raised] = 0
    at = start
    while at < end:
        tag, value, at = take_field(body, at, end)
        if tag == 26:
            place, first, last = attribute(body, np.int64(value), at, known)
            if place == MALFORMED:
                return np.int64(-1)
            if place >= 0 and role(known, place) >= 7:
                which = 2 * (role(known, place) - 6)
                is_text = last > first
                errors[which, raised] = first if is_text else np.int64(0)
                errors[which + 1, raised] = last if is_text else np.int64(0)
    return raised + 1


@kernel(
    COUNTS,
    BYTES,
    INT64_ROWS,
    INT64_ROWS,
    UINT64,
    UINT8S,
    UINT64_ROWS,
    INT64S,
    INT64_ROWS,
    INT32_ROWS,
    INT64_ROWS,
    UINT8S,
    INT64_ROWS,
)
def read_spans(  # type: ignore[no-untyped-def]
    body,
    records,
    owners,
    latest_ns,
    known,
    rows,
    refused,
    about,
    said,
    errors,
    arena,
    keys,
):
    """Reads spans.

    Args:
        body: The bytes in which all spans lie.
        records: Begin and end of each span, and its resource.
        owners: Of each resource its number, -1 where it cannot be read, the id of its instance, and
            that of its service. Out: 1 in the fourth column where a span was taken.
        latest_ns: No span may end later.
        known: The known keys, `services.ingest.otlp.known.TABLE`.
        rows: Out, a row of nine words for each span that is taken: `events.EVENT`, but for what
            `finish_spans` adds.
        refused: Out: how many are refused by the reason 1 to 6. Filled with 0.
        about: Out, a row each: its resource, begin and end of its name, and where what it
            has said begins and ends.
        said: Out: number, begin and end of each attribute that its name or peer comes from.
        errors: Out, a column for each exception: its row, its time, begin and end of its type, of
            its message, and of its stack trace.
        arena: Out, one behind the other, all that the operation and the peer of each come from; as
            long as the body.
        keys: Out: where each begins and, in a second row, where it ends.

    Returns:
        OK, BROKEN or FULL, and how many spans, attributes and exceptions there are.
    """
    good, attrs, raised, used = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    nothing = np.uint64(0)
    for record in range(len(records)):
        at, end, owner = records[record, 0], records[record, 1], records[record, 2]
        first_attr, first_raised = attrs, raised
        trace_at, trace_size = nothing, np.int64(0)
        span_at, span_size = nothing, np.int64(0)
        parent_at, parent_size = nothing, np.int64(0)
        start, stop, kind, status, flags = nothing, nothing, nothing, nothing, nothing
        http, old_http = np.int64(-1), np.int64(-1)
        grpc, old_grpc, is_grpc, is_old_grpc = np.int64(-1), np.int64(-1), False, False
        state_first, state_last = np.int64(0), np.int64(0)
        about[good, 0] = owner
        about[good, 1] = about[good, 2] = 0
        while at < end:
            tag, value, at = take_field(body, at, end)
            if at < 0:
                return 1, 0, 0, 0
            if tag == 74:
                place, first, last = attribute(body, np.int64(value), at, known)
                if place == MALFORMED:
                    return 1, 0, 0, 0
                if place < 0:
                    continue
                use = role(known, place)
                if use <= 2:
                    if attrs == len(said):
                        return 2, 0, 0, 0
                    said[attrs, 0], said[attrs, 1], said[attrs, 2] = place, first, last
                    attrs += 1
                elif use == 3:
                    http = code(body, first, last)
                elif use == 4:
                    old_http = code(body, first, last)
                elif use == 5:
                    grpc, is_grpc = code(body, first, last), last == NUMBER or last > first
                elif use == 6:
                    old_grpc, is_old_grpc = code(body, first, last), last == NUMBER or last > first
            elif tag == 10:
                trace_at, trace_size = value, at - np.int64(value)
            elif tag == 18:
                span_at, span_size = value, at - np.int64(value)
            elif tag == 34:
                parent_at, parent_size = value, at - np.int64(value)
            elif tag == 42:
                about[good, 1], about[good, 2] = np.int64(value), at
            elif tag == 26:
                state_first, state_last = np.int64(value), at
            elif tag == 57:
                start = value
            elif tag == 65:
                stop = value
            elif tag == 48:
                kind = value
            elif tag == 133:
                flags = value
            elif tag == 122:
                inner = np.int64(value)
                while inner < at:
                    part, content, inner = take_field(body, inner, at)
                    if inner < 0:
                        return 1, 0, 0, 0
                    if part == 24:
                        status = content
            elif tag == 90:
                raised = _exceptions(body, np.int64(value), at, good, known, errors, raised)
                if raised < 0:
                    return -raised, 0, 0, 0
        one, two = nothing, nothing
        if trace_size == 16:
            one, two = word(body, trace_at), word(body, trace_at + np.uint64(8))
        own = word(body, span_at) if span_size == 8 else nothing
        stop = stop if stop > nothing else start
        reason = 0
        if owners[owner, 0] < 0:
            reason = 1
        elif (one | two) == nothing:
            reason = 2
        elif own == nothing:
            reason = 3
        elif parent_size != 0 and parent_size != 8:
            reason = 4
        elif stop == nothing:
            reason = 5
        elif stop > latest_ns:
            reason = 6
        if reason > 0:
            refused[reason] += 1
            attrs, raised = first_attr, first_raised
            continue
        owners[owner, 3] = 1
        rows[good, 0], rows[good, 1], rows[good, 2] = one, two, own
        rows[good, 3] = word(body, parent_at) if parent_size == 8 else nothing
        rows[good, 4], rows[good, 5], rows[good, 6] = min(start, stop), stop, nothing
        rows[good, 7] = np.uint64(owners[owner, 1])
        kind = min(kind, np.uint64(255))
        status = status if status <= np.uint64(2) else nothing
        http = http if http >= 0 else max(old_http, np.int64(0))
        marks = np.uint64(0)
        if (is_grpc or is_old_grpc) and http == 0:
            http = old_grpc if old_grpc >= 0 else max(grpc, np.int64(0))
            marks = np.uint64(1)
        if (flags & np.uint64(0x100)) == nothing:
            marks |= np.uint64(16)
        elif (flags & np.uint64(0x200)) > nothing:
            marks |= np.uint64(8)
        last_word = (kind if kind <= np.uint64(5) else nothing) | status << np.uint64(8)
        last_word |= np.uint64(http) << np.uint64(16) | marks << np.uint64(32)
        if state_last - state_first >= 7:
            last_word |= np.uint64(thinning(body, state_first, state_last)) << np.uint64(48)
        rows[good, 8] = last_word
        about[good, 3], about[good, 4] = first_attr, attrs
        if used + (end - records[record, 0]) > len(arena):
            return 2, 0, 0, 0
        number = owners[owner, 0]
        keys[0, good] = used
        used = _key(body, about, good, number, kind, said, known, arena, used)
        keys[1, good] = used
        good += 1
    return 0, good, attrs, raised


@kernel(
    NOTHING,
    UINT64_ROWS,
    INT64S,
    UINT64_ROWS,
    INT64_ROWS,
    INT64S,
    UINT64S,
    UINT64_ROWS,
)
def finish_spans(read, which, words, errors, which_type, types, rows):  # type: ignore[no-untyped-def]
    """Rows of spans with what they are called, and behind them a row for each exception.

    Args:
        read: The rows of `read_spans`.
        which: Of each of them, which of the `words` are its own.
        words: Id of an operation, id of whom it calls as the upper half of a word, flags as they
            stand in the last word of a row.
        errors: As `read_spans` gives them.
        which_type: Of each exception, which of the `types` is its own.
        types: Ids of types of exceptions.
        rows: Out: as many as spans and exceptions.
    """
    spans = len(which)
    for row in range(spans):
        for word_of_row in range(6):
            rows[row, word_of_row] = read[row, word_of_row]
        named = which[row]
        rows[row, 6] = words[named, 0]
        rows[row, 7] = read[row, 7] | words[named, 1]
        rows[row, 8] = read[row, 8] | words[named, 2]
    for error in range(len(which_type)):
        row, span, time = spans + error, errors[0, error], np.uint64(errors[1, error])
        time = time if time > np.uint64(0) else read[span, 5]
        for word_of_row in range(3):
            rows[row, word_of_row] = read[span, word_of_row]
        rows[row, 3], rows[row, 4], rows[row, 5] = np.uint64(0), time, time
        rows[row, 6] = rows[span, 6]
        rows[row, 7] = read[span, 7] | types[which_type[error]] << np.uint64(32)
        rows[row, 8] = np.uint64(_EXCEPTION)
