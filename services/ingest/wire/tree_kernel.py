"""The compiled loop that reads all levels of a body in one pass."""

import numpy as np

from mesh.jit import BYTES, INT32_ROWS, INT64, INT64_ROWS, INT64S, kernel
from services.ingest.wire.trees import LEAF, NUMBER, PART, RUN, TEXT
from services.ingest.wire.varints import take_field


@kernel(INT64, BYTES, INT32_ROWS, INT64S, INT64S, INT64S, INT64_ROWS, INT64_ROWS, INT64S)
def walk(body, actions, widths, bases, rooms, stack, counts, cells):  # type: ignore[no-untyped-def]
    """Writes a row of cells for each message of a kind.

    Args:
        body: The message of kind 0, whose row it begins with.
        actions: Of each kind and tag below 256 what to do: 0 to skip it, or one of the names above
            and, eight times, the column or the kind that it is about.
        widths: Columns of each kind: row above, bits, start, end, tag, and its own.
        bases: Where its first row lies in `cells`.
        rooms: For how many rows there is room, and for one more that nobody reads.
        stack: Room for three numbers of each message around another.
        counts: Out: how many rows there are, also where there is less room, and 1 where one has
            bit 0. Filled with 0.
        cells: Out: the rows. Bit n of the bits says that column n is there, bit 0 that a run is in
            several pieces, or a text there more than once.

    Returns:
        0, 1 when the body is broken, or 2 when there was too little room.
    """
    depth, kind, row, at, end = 0, np.int64(0), np.int64(0), np.int64(0), np.int64(len(body))
    counts[0, 0] = 1
    cell = bases[0]
    cells[cell : cell + widths[0]] = 0
    cells[cell + 3] = end
    while True:
        if at == end:
            if depth == 0:
                break
            depth -= 1
            kind, end, row = stack[depth, 0], stack[depth, 1], stack[depth, 2]
            cell = bases[kind] + row * widths[kind]
            continue
        begin = at
        tag, value, at = take_field(body, at, end)
        if at < 0:
            return 1
        if tag >= 256:
            continue
        action = actions[kind, tag]
        what, about = action & 7, np.int64(action >> 3)
        if what == NUMBER:
            cells[cell + about] = np.int64(value)
            cells[cell + 1] |= 1 << about
        elif what in (TEXT, RUN):
            is_first = cells[cell + 1] & (1 << about) == 0
            if is_first or what == TEXT:
                cells[cell + about] = np.int64(value) if what == TEXT else begin
            if not is_first and (what == TEXT or cells[cell + about + 1] != begin):
                counts[1, kind] = 1
                cells[cell + 1] |= 1
            cells[cell + about + 1] = at
            cells[cell + 1] |= 1 << about
        elif what in (PART, LEAF):
            made = min(counts[0, about], rooms[about])
            counts[0, about] += 1
            new = bases[about] + made * widths[about]
            cells[new], cells[new + 1], cells[new + 4] = row, 0, tag
            cells[new + 2], cells[new + 3] = np.int64(value), at
            for place in range(new + 5, new + widths[about]):
                cells[place] = 0
            if what == PART:
                stack[depth, 0], stack[depth, 1], stack[depth, 2] = kind, end, row
                depth += 1
                kind, row, cell = about, made, new
                at, end = np.int64(value), at
    for each in range(len(rooms)):
        if counts[0, each] > rooms[each]:
            return 2
    return 0
