"""Which direct calls an operation made to answer once. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.topology.model.names import OTHER_ID

ShapeCall = tuple[int, int, int]
"""Operation, peer as in `Calls`, and how many times: 1, 2, 3, or 4 for four to seven, and so on."""
ShapeCalls = tuple[ShapeCall, ...]

OTHER_SHAPE: Final = 1
OTHER_CALLS: Final[ShapeCalls] = ((OTHER_ID, 0, 1),)
_NO_CALLS: Final = 2
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """Good answers, parallel columns.

    Attributes:
        operations: That answered.
        numbers: Of the shape: the same for the same calls, everywhere.
        ends_ns: By this an answer belongs to a minute.
        calls: What the numbers stand for.
    """

    operations: NDArray[np.uint64]
    numbers: NDArray[np.uint64]
    ends_ns: NDArray[np.int64]
    calls: Mapping[int, ShapeCalls]


def shapes_of(
    entries: NDArray[np.int64],
    operations: NDArray[np.uint64],
    ends_ns: NDArray[np.int64],
    callers: NDArray[np.int64],
    called: NDArray[np.uint64],
    peers: NDArray[np.uint64],
) -> Shapes:
    """The shapes of some answers.

    Args:
        entries: The spans that answered, ascending.
        operations: Of each entry.
        ends_ns: Of each entry.
        callers: Of each call the span that answered meanwhile; calls of others are left out.
        called: Of each call the operation.
        peers: Of each call the address; 0 for none.
    """
    places = np.minimum(np.searchsorted(entries, callers), max(0, len(entries) - 1))
    is_ours = (callers >= 0) & (entries[places] == callers if len(entries) else False)
    places, called, peers = places[is_ours], called[is_ours], peers[is_ours]
    order = np.lexsort((peers, called, places))
    rows = np.stack([places.astype(np.uint64), called, peers], axis=1)[order]
    begins = np.ones(len(rows), np.bool_)
    begins[1:] = (rows[1:] != rows[:-1]).any(axis=1)
    firsts = np.flatnonzero(begins)
    groups = rows[firsts]
    sizes = np.diff(np.r_[firsts, len(rows)]).astype(np.uint64)
    times = _rounded(sizes)
    mixed = _mixed(groups[:, 1], groups[:, 2], times)
    numbers = np.full(len(entries), _NO_CALLS, np.uint64)
    np.add.at(numbers, groups[:, 0].astype(np.int64), mixed)
    return Shapes(
        operations=operations,
        numbers=numbers,
        ends_ns=ends_ns,
        calls=_calls_by_number(numbers, groups, times),
    )


def coarse(calls: ShapeCalls) -> tuple[int, ShapeCalls]:
    """Number and calls of a shape of which only what it called several times is kept.

    Where spans are lost an operation has a shape for each way to lose them, more than can be kept;
    a call in a loop and a query too many still show. Again coarse, it is the same.

    >>> coarse(((7, 0, 1), (8, 0, 4)))[1]
    ((1, 0, 1), (8, 0, 4))
    >>> coarse(((7, 0, 1),)) == (OTHER_SHAPE, OTHER_CALLS)
    True
    """
    several = tuple(each for each in sorted(calls) if each[2] > 1)
    mixed = _mixed(*np.array(several, np.uint64).reshape(-1, 3).T)
    return (OTHER_SHAPE + int(mixed.sum())) % 2**64, (*OTHER_CALLS, *several)


def _mixed(
    operations: NDArray[np.uint64], peers: NDArray[np.uint64], times: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """A number for each call; the sum of those of an answer is that of its shape."""
    mixed = (operations * _MIX) ^ peers
    return (mixed ^ (mixed >> np.uint64(31)) ^ times) * _MIX


def _calls_by_number(
    numbers: NDArray[np.uint64], groups: NDArray[np.uint64], times: NDArray[np.uint64]
) -> dict[int, ShapeCalls]:
    """The calls of one answer of each shape."""
    known, examples = np.unique(numbers, return_index=True)
    owners = groups[:, 0].astype(np.int64)
    begins, ends = np.searchsorted(owners, (examples, examples + 1))
    calls = dict[int, ShapeCalls]()
    for number, begin, end in zip(known.tolist(), begins.tolist(), ends.tolist(), strict=True):
        columns = (groups[begin:end, 1], groups[begin:end, 2], times[begin:end])
        calls[number] = tuple(zip(*(each.tolist() for each in columns), strict=True))
    return calls


def _rounded(sizes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Up to 3 as they are, then powers of two."""
    powers = np.uint64(1) << np.log2(np.maximum(sizes, 1)).astype(np.uint64)
    return np.where(sizes < 4, sizes, powers)
