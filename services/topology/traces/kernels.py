"""The compiled loops over the spans of settled traces."""

from typing import Final

import numpy as np

from mesh.jit import INT64, INT64S, NOTHING, UINT8S, UINT64S, kernel

_MIX: Final = 0x9E3779B97F4A7C15
_DEEPEST: Final = 256
"""So far up is looked for who was asked first; deeper is a cycle, or nobody's call."""


@kernel(INT64, INT64S, UINT64S, INT64S, UINT8S)
def index_spans(traces, span_ids, slots, is_repeat):  # type: ignore[no-untyped-def]
    """Makes a hash table of spans by trace and id.

    Args:
        traces: The trace of each span, a number.
        span_ids: Its id there.
        slots: Out: the table, a power of two long and half empty; filled with -1.
        is_repeat: Out: 1 for a span that comes again. The first one counts.

    Returns:
        How many spans come again.
    """
    mask = np.uint64(len(slots) - 1)
    repeats = 0
    for span in range(len(traces)):
        mixed = (span_ids[span] ^ (np.uint64(traces[span]) * np.uint64(_MIX))) * np.uint64(_MIX)
        slot = (mixed >> np.uint64(32)) & mask
        while slots[slot] >= 0:
            other = slots[slot]
            if traces[other] == traces[span] and span_ids[other] == span_ids[span]:
                is_repeat[span] = 1
                repeats += 1
                break
            slot = (slot + np.uint64(1)) & mask
        if is_repeat[span] == 0:
            slots[slot] = span
    return repeats


@kernel(NOTHING, INT64S, UINT64S, INT64S, UINT64S, INT64S, INT64S)
def find_spans(traces, span_ids, asked_traces, asked_ids, slots, found):  # type: ignore[no-untyped-def]
    """Looks spans up.

    Args:
        traces: As `index_spans` had it.
        span_ids: As there.
        asked_traces: The trace of each span that is asked for.
        asked_ids: Its id there.
        slots: The table.
        found: Out: which span each is; -1 for none.
    """
    mask = np.uint64(len(slots) - 1)
    for which in range(len(asked_traces)):
        trace, wanted = asked_traces[which], asked_ids[which]
        mixed = (wanted ^ (np.uint64(trace) * np.uint64(_MIX))) * np.uint64(_MIX)
        slot = (mixed >> np.uint64(32)) & mask
        found[which] = -1
        while slots[slot] >= 0:
            other = slots[slot]
            if traces[other] == trace and span_ids[other] == wanted:
                found[which] = other
                break
            slot = (slot + np.uint64(1)) & mask


@kernel(NOTHING, INT64S, UINT8S, INT64S)
def find_entries(parents, kinds, entries):  # type: ignore[no-untyped-def]
    """Finds for each span the one by which its service was asked: itself or an ancestor.

    That is a SERVER or CONSUMER span, or one whose parent is not there. In a circle of parents each
    span stands for itself.

    Args:
        parents: The parent of each span; -1 for none.
        kinds: Its kind.
        entries: Out.
    """
    for span in range(len(parents)):
        at, steps = span, 0
        while kinds[at] != 2 and kinds[at] != 5 and parents[at] >= 0 and steps < _DEEPEST:
            at = parents[at]
            steps += 1
        entries[span] = at if steps < _DEEPEST else span


@kernel(NOTHING, INT64S, INT64S, INT64S, INT64S, UINT8S, INT64S, makes_arrays=True)
def subtract_children(order, parents, starts, ends, kinds, own):  # type: ignore[no-untyped-def]
    """Takes from each span's time what its children cover, each moment once.

    The child of another machine may have another clock: where it sticks out of a parent in which
    it would fit, it counts as if it lay in the middle.

    Args:
        order: The spans by their start.
        parents: The parent of each span; -1 for none.
        starts: In ns.
        ends: In ns.
        kinds: Of each span.
        own: In: the length of each span. Out: without what its children cover, at least 0.
    """
    covered = starts.copy()
    for which in range(len(order)):
        child = order[which]
        parent = parents[child]
        if parent < 0:
            continue
        start, end = starts[child], ends[child]
        is_remote = (kinds[parent] == 3 and kinds[child] == 2) or (
            kinds[parent] == 4 and kinds[child] == 5
        )
        spare = (ends[parent] - starts[parent]) - (end - start)
        if is_remote and spare >= 0 and (start < starts[parent] or end > ends[parent]):
            start = starts[parent] + spare // 2
            end = start + (ends[child] - starts[child])
        start, end = max(start, covered[parent]), min(end, ends[parent])
        if end > start:
            own[parent] = max(0, own[parent] - (end - start))
            covered[parent] = end
