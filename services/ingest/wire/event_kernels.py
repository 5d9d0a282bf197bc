"""The compiled loops over requests of OTLP traces and logs, and over log records."""

import numpy as np

from mesh.jit import (
    BYTES,
    COUNTS,
    INT64,
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
from services.ingest.wire.event_fields import MALFORMED, NUMBER, attribute, role
from services.ingest.wire.varints import take_field, word


@kernel(COUNTS, BYTES, INT64_ROWS, INT64_ROWS)
def list_records(body, resources, records):  # type: ignore[no-untyped-def]
    """Lists the spans, or the log records, of a request; both lie at the same depth.

    Args:
        body: The request.
        resources: Out: begin and end of each resource; of one that comes twice the last counts.
        records: Out: begin and end of each record, and the place of its resource.

    Returns:
        OK, BROKEN or FULL, how many resources and records there are, and 0.
    """
    held, found, at, end = np.int64(0), np.int64(0), np.int64(0), np.int64(len(body))
    while at < end:
        tag, value, at = take_field(body, at, end)
        if at < 0:
            return 1, held, found, 0
        if tag != 10:
            continue
        if held == len(resources):
            return 2, held, found, 0
        resources[held, 0] = resources[held, 1] = 0
        inner = np.int64(value)
        while inner < at:
            kind, content, inner = take_field(body, inner, at)
            if inner < 0:
                return 1, held, found, 0
            if kind == 10:
                resources[held, 0], resources[held, 1] = np.int64(content), inner
            elif kind == 18:
                deep = np.int64(content)
                while deep < inner:
                    what, first, deep = take_field(body, deep, inner)
                    if deep < 0:
                        return 1, held, found, 0
                    if what == 18:
                        if found == len(records):
                            return 2, held, found, 0
                        records[found, 0], records[found, 1] = np.int64(first), deep
                        records[found, 2] = held
                        found += 1
        held += 1
    return 0, held, found, 0


@loop_part
def _counted(counts, slots, minute, instance, severity, owner, used):  # type: ignore[no-untyped-def]
    """Counts a line of an instance, a minute and a severity; how many such there are now."""
    mixed = np.uint64(minute) * np.uint64(0x9E3779B97F4A7C15) ^ np.uint64(instance * 37 + severity)
    mixed *= np.uint64(0x9E3779B97F4A7C15)
    mask = np.int64(len(slots) - 1)
    slot = np.int64(mixed >> np.uint64(40)) & mask
    while True:
        known = slots[slot]
        if known < 0:
            slots[slot] = used
            counts[used, 0], counts[used, 1] = minute, instance
            counts[used, 2], counts[used, 3], counts[used, 4] = severity, owner, 1
            return used + 1
        is_same = counts[known, 0] == minute and counts[known, 1] == instance
        if is_same and counts[known, 2] == severity:
            counts[known, 4] += 1
            return used
        slot = (slot + 1) & mask


@kernel(
    COUNTS,
    BYTES,
    INT64_ROWS,
    INT64_ROWS,
    UINT64,
    UINT8S,
    UINT8S,
    UINT64_ROWS,
    INT64S,
    INT64_ROWS,
    INT64_ROWS,
    INT64_ROWS,
    INT64S,
)
def read_records(  # type: ignore[no-untyped-def]
    body,
    records,
    owners,
    latest_ns,
    known,
    levels,
    rows,
    refused,
    about,
    errors,
    counts,
    count_slots,
):
    """Reads log records: warnings and above, and exceptions, one by one; of all others how many.

    Args:
        body: The bytes in which all records lie.
        records: As `span_kernels.read_spans` has them. So are the next three.
        owners: As there.
        latest_ns: As there.
        known: As there.
        levels: The severity of a text by its first byte.
        rows: Out, a row of nine words for each of these records: `events.EVENT`, but for what
            `finish_records` adds.
        refused: Out: how many are refused by the reason 1 to 5. Filled with 0.
        about: Out, a column each: its resource and the number of that, then begin and end of its
            text, and of the type, the message and the stack trace of its exception; then 1 where
            the text is the name of an event, because there is no other.
        errors: Out, a column for each that is an exception: its row, begin and end of its type.
        counts: Out: minute, id of the instance, severity, resource of the first, and how many.
        count_slots: Room for their hash table, a power of two and twice as many as records.

    Returns:
        OK or BROKEN, and how many rows, counts and exceptions there are.
    """
    good, used, raised, nothing = np.int64(0), np.int64(0), np.int64(0), np.uint64(0)
    for slot in range(len(count_slots)):
        count_slots[slot] = -1
    for record in range(len(records)):
        at, end, owner = records[record, 0], records[record, 1], records[record, 2]
        trace_at, trace_size = nothing, np.int64(0)
        span_at, span_size = nothing, np.int64(0)
        time, observed, severity = nothing, nothing, nothing
        level, text, text_end = np.int64(0), np.int64(0), np.int64(0)
        event, event_end, is_raised = np.int64(0), np.int64(0), False
        for place in range(4, 10):
            about[place, good] = 0
        while at < end:
            tag, value, at = take_field(body, at, end)
            if at < 0:
                return 1, 0, 0, 0
            if tag == 50:
                place, first, last = attribute(body, np.int64(value), at, known)
                if place == MALFORMED:
                    return 1, 0, 0, 0
                if place >= 0 and role(known, place) >= 7:
                    which = 2 * (role(known, place) - 7) + 4
                    is_text = last > first
                    about[which, good] = first if is_text else np.int64(0)
                    about[which + 1, good] = last if is_text else np.int64(0)
                    if which == 4:
                        is_raised = is_text or last == NUMBER
            elif tag == 9:
                time = value
            elif tag == 89:
                observed = value
            elif tag == 16:
                severity = value
            elif tag == 74:
                trace_at, trace_size = value, at - np.int64(value)
            elif tag == 82:
                span_at, span_size = value, at - np.int64(value)
            elif tag == 26:
                level = np.int64(levels[body[value]]) if at > np.int64(value) else np.int64(0)
            elif tag == 98:
                event, event_end = np.int64(value), at
            elif tag == 42:
                inner = np.int64(value)
                while inner < at:
                    kind, content, inner = take_field(body, inner, at)
                    if inner < 0:
                        return 1, 0, 0, 0
                    if kind == 10:
                        text, text_end = np.int64(content), inner
                    elif kind >= 16 and kind <= 63:
                        text, text_end = np.int64(0), np.int64(0)
        time = time if time > nothing else observed
        reason = 0
        if owners[owner, 0] < 0:
            reason = 1
        elif trace_size != 0 and trace_size != 16:
            reason = 2
        elif span_size != 0 and span_size != 8:
            reason = 3
        elif time == nothing:
            reason = 4
        elif time > latest_ns:
            reason = 5
        if reason > 0:
            refused[reason] += 1
            continue
        owners[owner, 3] = 1
        number = np.int64(severity) if severity <= np.uint64(24) else np.int64(0)
        number = number if number > 0 else level
        if number < 13 and not is_raised:
            minute = np.int64(time // np.uint64(60_000_000_000))
            instance = owners[owner, 1]
            used = _counted(counts, count_slots, minute, instance, number, owner, used)
            continue
        rows[good, 0] = rows[good, 1] = rows[good, 2] = nothing
        if trace_size == 16:
            rows[good, 0] = word(body, trace_at)
            rows[good, 1] = word(body, trace_at + np.uint64(8))
        if span_size == 8:
            rows[good, 2] = word(body, span_at)
        rows[good, 3], rows[good, 4], rows[good, 5] = nothing, time, time
        rows[good, 6], rows[good, 7] = np.uint64(owners[owner, 2]), np.uint64(owners[owner, 1])
        rows[good, 8] = np.uint64(16) | np.uint64(number) << np.uint64(56)
        about[0, good], about[1, good], about[10, good] = owner, owners[owner, 0], 0
        if text == text_end:
            text, text_end = event, event_end
            about[10, good] = 1
        about[2, good], about[3, good] = text, text_end
        if is_raised:
            errors[0, raised], errors[1, raised] = good, about[4, good]
            errors[2, raised] = about[5, good]
            raised += 1
        good += 1
    return 0, good, used, raised


@kernel(
    NOTHING,
    UINT64_ROWS,
    INT64S,
    UINT64S,
    INT64_ROWS,
    INT64S,
    UINT64S,
    INT64_ROWS,
    INT64_ROWS,
    UINT64_ROWS,
)
def finish_records(  # type: ignore[no-untyped-def]
    read, which, patterns, errors, which_type, types, counts, owners, rows
):
    """Rows of records with their patterns and exceptions, and behind them a row for each count.

    Args:
        read: The rows of `read_records`.
        which: Of each of them, which of the `patterns` is its own.
        patterns: Ids.
        errors: As `read_records` gives them.
        which_type: Of each exception, which of the `types` is its own.
        types: Ids of types of exceptions.
        counts: As `read_records` gives them.
        owners: As `read_records` takes them.
        rows: Out: as many as records and counts.
    """
    for row in range(len(which)):
        for place in range(9):
            rows[row, place] = read[row, place]
        rows[row, 3] = patterns[which[row]]
    for error in range(len(which_type)):
        rows[errors[0, error], 7] |= types[which_type[error]] << np.uint64(32)
    for count in range(len(counts)):
        row = len(which) + count
        for place in range(4):
            rows[row, place] = np.uint64(0)
        rows[row, 4] = np.uint64(counts[count, 0]) * np.uint64(60_000_000_000)
        rows[row, 5] = np.uint64(counts[count, 4])
        rows[row, 6] = np.uint64(owners[counts[count, 3], 2])
        rows[row, 7] = np.uint64(counts[count, 1])
        rows[row, 8] = np.uint64(events.LINES) | np.uint64(counts[count, 2]) << np.uint64(56)


@kernel(INT64, UINT64_ROWS, INT64S, UINT64S, INT64S)
def error_kinds(rows, which, kinds, slots):  # type: ignore[no-untyped-def]
    """Finds kinds of errors: same operation, type of exception, pattern and hour.

    Args:
        rows: `events.EVENT` as nine words.
        which: Out: of each row, which of the kinds it is; -1 where it is no error.
        kinds: Out: 64 bits that stand for each kind, in the order in which they come.
        slots: Room for a hash table, a power of two and twice as many as rows.

    Returns:
        How many kinds there are.
    """
    found, mix = np.int64(0), np.uint64(0x9E3779B97F4A7C15)
    mask = np.uint64(len(slots) - 1)
    for slot in range(len(slots)):
        slots[slot] = -1
    for row in range(len(rows)):
        last = rows[row, 8]
        is_record = (last & np.uint64(255)) == np.uint64(events.RECORD)
        which[row] = -1
        if not is_record or (last >> np.uint64(56)) < np.uint64(events.ERROR):
            continue
        kind, half = rows[row, 6] * mix, np.uint64(32)
        kind = (kind ^ (kind >> half) ^ rows[row, 3]) * mix
        kind = (kind ^ (kind >> half) ^ (rows[row, 7] >> half)) * mix
        kind = (kind ^ (kind >> half) ^ (rows[row, 4] // np.uint64(3_600_000_000_000))) * mix
        at = (kind >> half) & mask
        while slots[at] >= 0 and kinds[slots[at]] != kind:
            at = (at + np.uint64(1)) & mask
        if slots[at] < 0:
            slots[at] = found
            kinds[found] = kind
            found += 1
        which[row] = slots[at]
    return found
