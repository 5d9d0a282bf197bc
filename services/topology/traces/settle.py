"""Settled traces as calls: one for each span by which a service was asked, or nobody answered."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.topology.model import events as model
from services.topology.model.events import Events, column
from services.topology.traces.shapes import Shapes, shapes_of

Int64s = NDArray[np.int64]
Bools = NDArray[np.bool_]

EXCEPTION: Final = 1
STATUS: Final = 2
LOG: Final = 3
UNREACHABLE: Final = 4
TOO_SLOW: Final = 5
GAVE_UP: Final = 6
"""Reasons, numbered as in the contract. TOO_SLOW is told by who compares: one trace does not say
what is usual."""

CALL: Final = 1
MESSAGING: Final = 2
DATABASE: Final = 3
ADDRESS: Final = 4
ENTRY: Final = 5
"""Connections, numbered as in the contract."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """Calls of settled traces, parallel columns.

    Attributes:
        callers: Operation that called; 0 for none that was seen.
        operations: Operation that was called; of a call that nobody answered that of the caller's
            own span.
        peers: Address that stands for the called service; 0 where its span was seen.
        kinds: Of the span that is counted.
        connections: By which way, numbered as in the contract.
        ends_ns: By this a call belongs to a minute.
        durations_ns: Of the span.
        own_ns: Without the time of its own calls.
        waits_ns: What the caller waited beyond it; -1 where there is no caller.
        weights: Requests for which it stands.
        is_error: Status ERROR, HTTP 500 and more, of a client 400 and more, gRPC other than OK.
        is_origin: Here an error began.
        reasons: Why it is held to have begun here; 0 where it did not.
        details: What says more: exception, code or pattern, by the reason.
        is_orphan: It has a parent that no span tells of.
        traces: A number for the trace, the same for calls that settle together.
    """

    callers: NDArray[np.uint64]
    operations: NDArray[np.uint64]
    peers: NDArray[np.uint32]
    kinds: NDArray[np.uint8]
    connections: NDArray[np.uint8]
    ends_ns: Int64s
    durations_ns: Int64s
    own_ns: Int64s
    waits_ns: Int64s
    weights: NDArray[np.float64]
    is_error: Bools
    is_origin: Bools
    reasons: NDArray[np.uint8]
    details: NDArray[np.uint64]
    is_orphan: Bools
    traces: Int64s

    def __len__(self) -> int:
        """How many there are."""
        return len(self.operations)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What some traces have come to.

    Attributes:
        roots: The calls that began a trace, places in `calls`.
        failed_roots: Those of traces in which any span is bad.
        shapes: Good answers by what they called.
        first_patterns: Of each failing trace with a pattern of errors the one that came first.
        first_times_ns: When.
        ends_ns: Of every span that counts, also of those that are no call.
        addresses: That were called and answered by a span.
        answered_by: By which operation.
        answered_ns: When.
        repeats: Spans that had come before, and are not counted again.
    """

    calls: Calls
    roots: Int64s
    failed_roots: Int64s
    shapes: Shapes
    first_patterns: NDArray[np.uint64]
    first_times_ns: Int64s
    ends_ns: Int64s
    addresses: NDArray[np.uint32]
    answered_by: NDArray[np.uint64]
    answered_ns: Int64s
    repeats: int

    @property
    def spans(self) -> int:
        """How many spans count."""
        return len(self.ends_ns)


def settle(rows: Events) -> Settled:
    """Counts whole traces: all their rows, in any order. The answer does not depend on the order
    of rows, but for spans that come twice with different content, of which the first one counts.

    Cost: about 0.4 us a span.
    """
    # numba takes a second: only who settles pays for it
    from services.topology.traces import kernels

    rows = rows.compress(rows["kind"] <= model.RECORD)
    order = np.argsort(rows["span_id"], kind="stable")
    rows = rows.take(order)
    traces = _numbers(rows)
    is_span = rows["kind"] < model.RECORD
    spans, of_spans = rows.compress(is_span), traces[is_span]
    ids = column(spans, "span_id")
    slots = np.full(1 << max(4, (2 * len(spans)).bit_length()), -1, np.int64)
    is_repeat = np.zeros(len(spans), np.uint8)
    repeats = kernels.index_spans(of_spans, ids, slots, is_repeat)  # type: ignore[no-untyped-call]

    def places(asked_traces: Int64s, asked: NDArray[np.uint64]) -> Int64s:
        found = np.empty(len(asked), np.int64)
        kernels.find_spans(of_spans, ids, asked_traces, asked, slots, found)  # type: ignore[no-untyped-call]
        return found

    parents = places(of_spans, column(spans, "parent"))
    parents[(spans["parent"] == 0) | (parents == np.arange(len(spans)))] = -1
    records = rows.compress(~is_span)
    owners = places(traces[~is_span], column(records, "span_id"))
    tree = _tree(spans, parents, of_spans, is_repeat == 0)
    calls, roots, failed_roots, shapes, failed = _calls(tree, records, owners)
    called = column(spans, "peer")[parents[tree.answers]]
    known = tree.answers[called > 0]
    first_patterns, first_times_ns = _firsts(records, traces[~is_span], failed)
    return Settled(
        calls=calls,
        roots=roots,
        failed_roots=failed_roots,
        shapes=shapes,
        first_patterns=first_patterns,
        first_times_ns=first_times_ns,
        ends_ns=column(spans, "end_ns").view(np.int64)[is_repeat == 0],
        addresses=called[called > 0],
        answered_by=column(spans, "operation")[known],
        answered_ns=column(spans, "end_ns").view(np.int64)[known],
        repeats=int(repeats),
    )


@dataclass(frozen=True, slots=True)
class _Tree:
    """Spans with their relatives."""

    spans: Events
    traces: Int64s
    parents: Int64s
    entries: Int64s
    counts: Bools
    own_ns: Int64s
    is_answered: Bools
    answers: Int64s


def _tree(spans: Events, parents: Int64s, traces: Int64s, counts: Bools) -> _Tree:
    from services.topology.traces import kernels

    kinds = column(spans, "kind")
    starts = column(spans, "start_ns").view(np.int64)
    ends = column(spans, "end_ns").view(np.int64)
    entries, own = np.empty(len(spans), np.int64), ends - starts
    kernels.find_entries(parents, kinds, entries)  # type: ignore[no-untyped-call]
    by_start = np.lexsort((ends, starts)).astype(np.int64)
    counted = by_start[counts[by_start]]
    kernels.subtract_children(counted, parents, starts, ends, kinds, own)  # type: ignore[no-untyped-call]
    calling = np.isin(kinds, (model.CLIENT, model.PRODUCER))
    answering = np.isin(kinds, (model.SERVER, model.CONSUMER)) & (parents >= 0) & counts
    answers = np.flatnonzero(answering & calling[np.maximum(parents, 0)])
    is_answered = np.zeros(len(spans), np.bool_)
    is_answered[parents[answers]] = True
    return _Tree(spans, traces, parents, entries, counts, own, is_answered, answers)


def _calls(
    tree: _Tree, records: Events, owners: Int64s
) -> tuple[Calls, Int64s, Int64s, Shapes, Int64s]:
    """Calls, those that began a trace, those of them that failed, shapes, and failed traces."""
    spans, kinds = tree.spans, column(tree.spans, "kind")
    is_calling = np.isin(kinds, (model.CLIENT, model.PRODUCER))
    unanswered = is_calling & ~tree.is_answered & tree.counts
    is_entry = (tree.entries == np.arange(len(spans))) & tree.counts
    kept = np.flatnonzero(is_entry | unanswered)
    reasons, details, is_bad = _reasons(tree, records, owners)
    origins, origin_reasons, origin_details = _origins(tree, unanswered, is_bad, reasons, details)
    callers = _callers(tree, unanswered)
    own = _own_times(tree, is_entry)
    waits = np.full(len(spans), -1, np.int64)
    lengths = (column(spans, "end_ns") - column(spans, "start_ns")).view(np.int64)
    waits[tree.answers] = np.maximum(0, lengths[tree.parents[tree.answers]] - lengths[tree.answers])
    waits[unanswered] = lengths[unanswered]
    operations = column(spans, "operation")
    has_caller = callers >= 0
    calls = Calls(
        callers=np.where(has_caller, operations[np.maximum(callers, 0)], 0)[kept],
        operations=operations[kept],
        peers=np.where(unanswered, spans["peer"], 0).astype(np.uint32)[kept],
        kinds=kinds[kept],
        connections=_connections(tree, unanswered, has_caller)[kept],
        ends_ns=column(spans, "end_ns").view(np.int64)[kept],
        durations_ns=lengths[kept],
        own_ns=own[kept],
        waits_ns=waits[kept],
        weights=(2.0 ** (spans["thinning"] / 8.0))[kept],
        is_error=_errors(spans)[kept],
        is_origin=origins[kept],
        reasons=origin_reasons[kept],
        details=origin_details[kept],
        is_orphan=((tree.parents < 0) & (spans["parent"] != 0))[kept],
        traces=tree.traces[kept],
    )
    is_root = (is_entry & (spans["parent"] == 0))[kept]
    failed = np.unique(tree.traces[is_bad & tree.counts])
    is_failed = is_root & np.isin(tree.traces[kept], failed)
    good = np.flatnonzero(is_entry & ~is_bad)
    shapes = shapes_of(
        good,
        operations[good],
        column(spans, "end_ns").view(np.int64)[good],
        callers[kept],
        calls.operations,
        calls.peers.astype(np.uint64),
    )
    return calls, np.flatnonzero(is_root), np.flatnonzero(is_failed), shapes, failed


def _firsts(records: Events, traces: Int64s, failed: Int64s) -> tuple[NDArray[np.uint64], Int64s]:
    """Of each failing trace the pattern of the first record of an error, and its time."""
    is_error = (records["severity"] >= model.ERROR_SEVERITY) & (records["parent"] > 0)
    which = np.flatnonzero(is_error & np.isin(traces, failed))
    errors = records.take(which)
    order = np.lexsort((errors["parent"], errors["start_ns"], traces[which]))
    first = np.unique(traces[which][order], return_index=True)[1]
    chosen = errors[order][first]
    return column(chosen, "parent"), column(chosen, "start_ns").view(np.int64)


def _reasons(
    tree: _Tree, records: Events, owners: Int64s
) -> tuple[NDArray[np.uint8], NDArray[np.uint64], Bools]:
    """Why each span is bad, if it is: its exception, its status or code, its lines of errors."""
    spans = tree.spans
    reasons = np.zeros(len(spans), np.uint8)
    details = np.zeros(len(spans), np.uint64)
    is_bad = (spans["status"] == 2) | _bad_codes(spans, 400)
    reasons[is_bad] = STATUS
    is_grpc = spans["flags"] & model.GRPC_CODE > 0
    details[is_bad] = (spans["code"] + np.where(is_grpc, 1 << 16, 0))[is_bad]
    telling = np.flatnonzero((owners >= 0) & (records["severity"] >= model.ERROR_SEVERITY))
    telling = telling[np.lexsort((records["parent"][telling], records["start_ns"][telling]))[::-1]]
    has_exception = records["peer"][telling] > 0
    for which, reason, field in (
        (~has_exception, LOG, "parent"),
        (has_exception, EXCEPTION, "peer"),
    ):
        of_span = owners[telling[which]]
        # a status that is bad says more than a line, an exception more than both
        weaker = (
            np.isin(reasons[of_span], (0, LOG)) if reason == LOG else np.ones(len(of_span), bool)
        )
        reasons[of_span[weaker]] = reason
        details[of_span[weaker]] = records[field][telling[which]][weaker]
        is_bad[of_span] = True
    return reasons, details, is_bad


def _origins(
    tree: _Tree,
    unanswered: Bools,
    is_bad: Bools,
    reasons: NDArray[np.uint8],
    details: NDArray[np.uint64],
) -> tuple[Bools, NDArray[np.uint8], NDArray[np.uint64]]:
    """The bad spans without a bad child, charged to the call to which they belong."""
    spans = tree.spans
    has_bad_child = np.zeros(len(spans), np.bool_)
    has_bad_child[tree.parents[is_bad & tree.counts & (tree.parents >= 0)]] = True
    begins = np.flatnonzero(is_bad & tree.counts & ~has_bad_child)
    is_calling = np.isin(spans["kind"], (model.CLIENT, model.PRODUCER))
    is_database = spans["flags"] & model.DATABASE > 0
    nobody = unanswered[begins] & ~is_database[begins] & (spans["code"][begins] == 0)
    why = reasons[begins].copy()
    why[nobody & (spans["kind"][begins] == model.CLIENT)] = UNREACHABLE
    why[is_calling[begins] & tree.is_answered[begins]] = GAVE_UP
    charged = np.where(unanswered[begins], begins, tree.entries[begins])
    origins = np.zeros(len(spans), np.bool_)
    of_reason = np.zeros(len(spans), np.uint8)
    of_detail = np.zeros(len(spans), np.uint64)
    origins[charged], of_reason[charged], of_detail[charged] = True, why, details[begins]
    return origins, of_reason, of_detail


def _callers(tree: _Tree, unanswered: Bools) -> Int64s:
    """Of each call the entry of the service that made it; -1 for none."""
    above = np.where(tree.parents >= 0, tree.entries[np.maximum(tree.parents, 0)], -1)
    own = np.where(tree.entries == np.arange(len(tree.entries)), -1, tree.entries)
    callers: Int64s = np.where(unanswered, own, above)
    return callers


def _own_times(tree: _Tree, is_entry: Bools) -> Int64s:
    """An entry's own time includes that of the work inside; calls keep theirs."""
    own = tree.own_ns.copy()
    inside = np.flatnonzero(~is_entry & tree.counts & (tree.spans["kind"] <= model.INTERNAL))
    np.add.at(own, tree.entries[inside], tree.own_ns[inside])
    return own


def _connections(tree: _Tree, unanswered: Bools, has_caller: Bools) -> NDArray[np.uint8]:
    flags = tree.spans["flags"]
    connections = np.where(has_caller, CALL, ENTRY).astype(np.uint8)
    connections[unanswered] = ADDRESS
    connections[(flags & model.DATABASE > 0) & unanswered] = DATABASE
    connections[(flags & model.QUEUE > 0) & (unanswered | has_caller)] = MESSAGING
    return connections


def _errors(spans: Events) -> Bools:
    is_calling = np.isin(spans["kind"], (model.CLIENT, model.PRODUCER))
    bad_code = np.where(is_calling, _bad_codes(spans, 400), _bad_codes(spans, 500))
    errors: Bools = (spans["status"] == 2) | bad_code
    return errors


def _bad_codes(spans: Events, from_http: int) -> Bools:
    is_grpc = spans["flags"] & model.GRPC_CODE > 0
    bad: Bools = np.where(is_grpc, spans["code"] > 0, spans["code"] >= from_http)
    return bad


def _numbers(rows: Events) -> Int64s:
    """A number for the trace of each row."""
    ids: NDArray[Any] = np.empty((len(rows), 2), np.uint64)
    ids[:, 0], ids[:, 1] = rows["trace_hi"], rows["trace_lo"]
    order = np.lexsort((ids[:, 1], ids[:, 0]))
    sorted_ids = ids[order]
    begins = np.ones(len(rows), np.bool_)
    begins[1:] = (sorted_ids[1:] != sorted_ids[:-1]).any(axis=1)
    numbers = np.empty(len(rows), np.int64)
    numbers[order] = np.cumsum(begins) - 1
    return numbers
