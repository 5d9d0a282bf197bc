"""The compiled loops over protobuf bytes."""

from typing import Final

import numpy as np

from mesh.jit import (
    BYTES,
    COUNTS,
    INT32S,
    INT64,
    INT64_ROWS,
    INT64S,
    UINT8S,
    UINT64,
    UINT64S,
    VERDICT,
    kernel,
)
from services.ingest.wire.varints import take, take_field, word

OK: Final = 0
BROKEN: Final = 1
FULL: Final = 2


@kernel(
    VERDICT,
    BYTES,
    INT64S,
    INT64S,
    INT32S,
    INT32S,
    INT64S,
    UINT64S,
    INT64S,
)
def scan(body, starts, ends, parents, tags, begins, values, lasts):  # type: ignore[no-untyped-def]
    """Lists the fields of many messages, one level deep.

    Args:
        body: The bytes in which all messages lie.
        starts: Where each message begins.
        ends: Where each ends.
        parents: Out: the message of each field, ascending.
        tags: Out: field number times 8 plus wire type.
        begins: Out: where the tag begins.
        values: Out: the number of a varint or fixed field; of others where the content begins.
        lasts: Out: where the field ends.

    Returns:
        OK, BROKEN or FULL, and how many fields there are.
    """
    found = 0
    room = len(parents)
    for message in range(len(starts)):
        at = starts[message]
        end = ends[message]
        while at < end:
            if found == room:
                return 2, found
            begin = at
            tag, value, at = take_field(body, at, end)
            if at < 0:
                return 1, found
            parents[found] = message
            tags[found] = np.int32(tag)
            begins[found] = begin
            values[found] = value
            lasts[found] = at
            found += 1
    return 0, found


@kernel(VERDICT, BYTES, INT64S, INT64S, INT32S, UINT64S)
def varints(body, starts, ends, parents, values):  # type: ignore[no-untyped-def]
    """Lists the numbers of packed varint fields.

    Args:
        body: The bytes in which all fields lie.
        starts: Where the content of each field begins.
        ends: Where it ends.
        parents: Out: the field of each number, ascending.
        values: Out: the numbers.

    Returns:
        OK, BROKEN or FULL, and how many numbers there are.
    """
    found = 0
    room = len(parents)
    for field in range(len(starts)):
        at = starts[field]
        end = ends[field]
        while at < end:
            if found == room:
                return 2, found
            value, at = take(body, at, end, 63)
            if at < 0:
                return 1, found
            parents[found] = field
            values[found] = value
            found += 1
    return 0, found


@kernel(VERDICT, BYTES, INT64S, INT64S, INT64S, INT64S, INT64S)
def numbers_at(body, starts, ends, numbers, found, edges):  # type: ignore[no-untyped-def]
    """Lists the numbers at the places that repeated varint fields give, packed or not.

    Args:
        body: The bytes in which all fields lie.
        starts: Where the fields of each message begin.
        ends: Where they end.
        numbers: At each place.
        found: Out: the numbers that are referred to; -1 for a place beyond them.
        edges: Out: at which byte of `found` those of each message begin, and where the last end.

    Returns:
        OK, BROKEN or FULL, and how many numbers there are.
    """
    used, room, size, one = 0, len(found), np.uint64(len(numbers)), np.uint64(1)
    edges[0] = 0
    for message in range(len(starts)):
        at, end = np.uint64(starts[message]), np.uint64(ends[message])
        while at < end:
            tag, value, after = take_field(body, np.int64(at), np.int64(end))
            if after < 0:
                return 1, used
            last, is_packed = np.uint64(after), tag & 7 == 2
            at = value if is_packed else last
            while not is_packed or at < last:
                if is_packed:
                    value = np.uint64(body[at])
                    at += one
                    if value >= np.uint64(128):
                        value, behind = take(body, np.int64(at - one), after, 63)
                        if behind < 0:
                            return 1, used
                        at = np.uint64(behind)
                if used == room:
                    return 2, used
                found[used] = numbers[value] if value < size else -1
                used += 1
                if not is_packed:
                    break
        edges[message + 1] = 8 * used
    return 0, used


@kernel(
    COUNTS,
    BYTES,
    INT64S,
    INT64S,
    INT64S,
    INT32S,
    INT64_ROWS,
    UINT8S,
    INT64S,
    UINT64,
    INT64,
    INT64_ROWS,
)
def number_texts(  # type: ignore[no-untyped-def]
    body, scopes, starts, ends, slots, entries, arena, used, seed, adds, found
):
    """Finds each text among those that are known; the same bytes of a scope are the same text.

    Args:
        body: The bytes in which all texts lie.
        scopes: A number that each text belongs to.
        starts: Where each text begins.
        ends: Where it ends.
        slots: The hash table: place of a text, or -1; a power of two long, half of it empty.
        entries: Of each known text its hash, its scope, where it begins and ends in `arena`, when
            it was met last, and 1 if it has a value: one row, for one access of memory.
        arena: The bytes of all known texts.
        used: How many texts are known, how many bytes of `arena` they take, and how often this was
            asked.
        seed: Makes the hash one that no sender can foresee.
        adds: 1 to add what is new, 0 to give it the place -1.
        found: Out: of each text which one of the different texts it is; of each of these its place,
            and where among all texts it stands first.

    Returns:
        OK or FULL, how many different texts there are, how many of them have no value, and 0.
    """
    different, missing = np.int64(0), np.int64(0)
    used[2] += 1
    now = used[2] << 32
    mask = np.uint64(len(slots) - 1)
    factor = np.uint64(0x9E3779B97F4A7C15)
    one, eight = np.uint64(1), np.uint64(8)
    for text in range(len(starts)):
        start, end = np.uint64(starts[text]), np.uint64(ends[text])
        size = end - start
        scope = scopes[text]
        mixed = (seed ^ (size * factor) ^ np.uint64(scope)) * factor
        at = start
        while at + eight <= end:
            mixed = (mixed ^ word(body, at)) * factor
            mixed ^= mixed >> np.uint64(29)
            at += eight
        while at < end:
            mixed = (mixed ^ np.uint64(body[at])) * factor
            at += one
        mixed ^= mixed >> np.uint64(29)
        slot = (mixed ^ (mixed >> np.uint64(32))) & mask
        while True:
            known = slots[slot]
            if known < 0:
                if adds == 0:
                    break
                known = np.int32(used[0])
                if known == len(entries) or used[1] + np.int64(size) > len(arena):
                    return 2, 0, 0, 0
                slots[slot] = known
                entries[known, 0], entries[known, 1] = np.int64(mixed), scope
                entries[known, 2], entries[known, 4], entries[known, 5] = used[1], 0, 0
                for place in range(np.int64(size)):
                    arena[used[1] + place] = body[start + np.uint64(place)]
                used[0] += 1
                used[1] += np.int64(size)
                entries[known, 3] = used[1]
                break
            is_like = entries[known, 0] == np.int64(mixed) and entries[known, 1] == scope
            if is_like and np.uint64(entries[known, 3] - entries[known, 2]) == size:
                first, at = np.uint64(entries[known, 2]), np.uint64(0)
                while at + eight <= size and word(arena, first + at) == word(body, start + at):
                    at += eight
                while at < size and arena[first + at] == body[start + at]:
                    at += one
                if at == size:
                    break
            slot = (slot + one) & mask
        if known >= 0 and entries[known, 4] >= now:
            found[0, text] = entries[known, 4] - now
            continue
        if known >= 0:
            entries[known, 4] = now + different
            missing += np.int64(entries[known, 5] == 0)
        found[0, text] = different
        found[1, different], found[2, different] = known, text
        different += 1
    return 0, different, missing, 0
