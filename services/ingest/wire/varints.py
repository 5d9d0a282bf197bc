"""How a word, a number and a field of protobuf are read, for other compiled loops."""

import numpy as np

from mesh.jit import inlined, loop_part


@inlined
def word(content, at):  # type: ignore[no-untyped-def]
    """Eight bytes at an unsigned place as a number; such places make it one load."""
    return (
        np.uint64(content[at])
        | np.uint64(content[at + np.uint64(1)]) << np.uint64(8)
        | np.uint64(content[at + np.uint64(2)]) << np.uint64(16)
        | np.uint64(content[at + np.uint64(3)]) << np.uint64(24)
        | np.uint64(content[at + np.uint64(4)]) << np.uint64(32)
        | np.uint64(content[at + np.uint64(5)]) << np.uint64(40)
        | np.uint64(content[at + np.uint64(6)]) << np.uint64(48)
        | np.uint64(content[at + np.uint64(7)]) << np.uint64(56)
    )


@loop_part
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


@loop_part
def take_field(body, at, end):  # type: ignore[no-untyped-def]
    """The field at a place: one way out, or the compiled code is five times as slow.

    Args:
        body: The bytes.
        at: Where it begins.
        end: Where its message ends.

    Returns:
        Field number times 8 plus wire type; the number of a varint or fixed field, of others where
        the content begins; and where the field ends: -1 when it is broken.
    """
    at, end = np.uint64(at), np.uint64(end)  # unsigned places make one load of an access
    one = np.uint64(1)
    tag, shift, is_broken = np.uint64(0), np.uint64(0), False
    while True:
        if at >= end or shift > np.uint64(28):
            is_broken = True
            break
        byte = body[at]
        at += one
        tag |= np.uint64(byte & 127) << shift
        if byte < 128:
            break
        shift += np.uint64(7)
    wire, value = tag & np.uint64(7), np.uint64(0)
    if tag < np.uint64(8) or tag > np.uint64(0x7FFFFFFF):
        is_broken = True
    elif wire == np.uint64(0) or wire == np.uint64(2):
        shift = np.uint64(0)
        while True:
            if at >= end or shift > np.uint64(63):
                is_broken = True
                break
            byte = body[at]
            at += one
            value |= np.uint64(byte & 127) << shift
            if byte < 128:
                break
            shift += np.uint64(7)
        if wire == np.uint64(2):
            if value > end - at:
                is_broken = True
            else:
                size = value
                value = at
                at += size
    elif wire == np.uint64(1) or wire == np.uint64(5):
        width = np.uint64(8) if wire == one else np.uint64(4)
        if end - at < width:
            is_broken = True
        else:
            for place in range(width):
                value |= np.uint64(body[at + place]) << (np.uint64(8) * place)
            at += width
    else:
        is_broken = True
    return np.int64(tag), value, np.int64(-1) if is_broken else np.int64(at)
