"""What differs between two sides, most changed first."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, Final, TypeVar

from services.topology.model.names import Named
from services.topology.query.naming import Dictionary, EdgeName
from services.topology.query.sides import Counts, Side, edges_by_name
from services.topology.traces import settle

MOST: Final = 1000
WARNING: Final = 13
"""Severity of OTLP from which patterns are compared."""

SEVERAL: Final = 3.0
"""Times as long as usual: then it is not the caller that gave up too soon."""
OUT_OF_TIME: Final = "grpc 4"
"""Of a call that nobody answered before the caller's deadline."""

K = TypeVar("K")


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgePair:
    """One edge on both sides."""

    name: EdgeName
    observed: Counts | None
    usual: Counts | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginPair:
    """Errors that began in one place."""

    place: Named
    reason: int
    detail: str
    observed: int
    usual: int
    traces: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapePair:
    """Answers of one shape."""

    place: Named
    calls: tuple[tuple[Named, int], ...]
    observed: int
    usual: int
    observed_total: int
    usual_total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternPair:
    """Lines of one pattern."""

    pattern: int
    observed: int
    usual: int
    first: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Both sides; `services` are those that were asked for and whom they call, None for all."""

    edges: Sequence[EdgePair]
    origins: Sequence[OriginPair]
    shapes: Sequence[ShapePair]
    patterns: Sequence[PatternPair]
    services: Collection[str] | None


def compare(
    observed: Side, usual: Side, known: Dictionary, services: Collection[str]
) -> Comparison:
    """Compares two sides. Costs about a millisecond per thousand edges."""
    ratio = _ratio(observed, usual)
    edges = _edges(observed, usual, known, services, ratio)
    near = None
    if services:
        near = set(services) | {
            each.name.called.service for each in edges if each.name.caller.service in services
        }
    return Comparison(
        edges=edges[:MOST],
        origins=_origins(observed, usual, known, near, ratio, _TimeoutCharge.of(edges))[:MOST],
        shapes=_shapes(observed, usual, known, near)[:MOST],
        patterns=_patterns(observed, usual, known, near, ratio)[:MOST],
        services=near,
    )


def _ratio(observed: Side, usual: Side) -> float:
    """How much of what is usual is to be expected in the observed minutes."""
    seen, before = observed.table.spans, usual.table.spans
    return seen / before if seen and before else observed.minutes / max(1, usual.minutes)


def _change(observed: float, usual: float, ratio: float) -> float:
    """How far a count is from what is usual, in standard deviations of a count."""
    expected = usual * ratio
    return abs(observed - expected) / sqrt(expected + 1)


def _edges(
    observed: Side, usual: Side, known: Dictionary, services: Collection[str], ratio: float
) -> list[EdgePair]:
    def wanted(name: EdgeName) -> EdgeName | None:
        near = {name.caller.service, name.called.service}
        return name if not services or near & set(services) else None

    new = edges_by_name(observed.table, known, wanted)
    old = edges_by_name(usual.table, known, wanted)
    pairs = [
        EdgePair(name=each, observed=new.get(each), usual=old.get(each)) for each in {**new, **old}
    ]
    return sorted(pairs, key=lambda pair: (-_edge_change(pair, ratio), str(pair.name)))


def _edge_change(pair: EdgePair, ratio: float) -> float:
    """By calls, by errors, and by how much longer they took."""
    new, old = pair.observed, pair.usual
    change = _change(new.spans if new else 0, old.spans if old else 0, ratio)
    change = max(change, _change(new.errors if new else 0, old.errors if old else 0, ratio))
    if new and old and old.duration.p50_s > 0 and new.duration.count:
        slower = abs(new.duration.p50_s / old.duration.p50_s - 1)
        change = max(change, slower * sqrt(new.duration.count))
    return change


@dataclass(frozen=True, slots=True)
class _TimeoutCharge:
    """Who is charged with calls that ran out of time.

    Attributes:
        slow: By operation the one that it calls which takes several times as long as usual.
        hasty: By service and what it calls the operation that waits for an answer, before it gives
            up, less than answers usually take.
    """

    slow: Mapping[Named, Named]
    hasty: Mapping[Named, Named]

    @classmethod
    def of(cls, edges: Sequence[EdgePair]) -> "_TimeoutCharge":
        """As these edges tell it."""
        return cls(_slow(edges), _hasty(edges))

    def charged(self, place: Named, call: Named, reason: int, detail: str) -> tuple[Named, int]:
        """To whom an error is charged after all, and why.

        Args:
            place: To whom it is charged by its trace alone.
            call: The operation of its span.
            reason: By its trace alone.
            detail: What says more.
        """
        if reason == settle.GAVE_UP and place in self.slow:
            return self.slow[place], settle.TOO_SLOW
        if reason == settle.STATUS and detail == OUT_OF_TIME and call in self.hasty:
            return self.hasty[call], settle.GAVE_UP
        return place, reason


def _hasty(edges: Sequence[EdgePair]) -> Mapping[Named, Named]:
    answers: dict[Named, list[float]] = {}
    for each in edges:
        if each.name.connection == settle.CALL and each.usual and each.usual.duration.count:
            call = Named(each.name.caller.service, each.name.called.name)
            answers.setdefault(call, []).append(each.usual.duration.p50_s)
    found: dict[Named, Named] = {}
    for each in edges:
        call = Named(each.name.caller.service, each.name.called.name)
        waited = each.observed.duration.p50_s if each.observed else float("inf")
        is_unanswered = each.name.connection == settle.ADDRESS and each.name.caller.name
        if is_unanswered and waited < min(answers.get(call, [0.0])):
            found[call] = max(found.get(call, each.name.caller), each.name.caller, key=str)
    return found


def _slow(edges: Sequence[EdgePair]) -> Mapping[Named, Named]:
    found: dict[Named, tuple[float, str, Named]] = {}
    for each in edges:
        new, old = each.observed, each.usual
        if new and old and new.duration.p95_s > SEVERAL * old.duration.p95_s > 0:
            called = each.name.called
            growth = new.duration.p95_s / old.duration.p95_s
            slowest = (growth, str(called), called)
            found[each.name.caller] = max(found.get(each.name.caller, slowest), slowest)
    return {caller: called for caller, (_, _, called) in found.items()}


def _origins(
    observed: Side,
    usual: Side,
    known: Dictionary,
    near: Collection[str] | None,
    ratio: float,
    patience: _TimeoutCharge,
) -> list[OriginPair]:
    def summed(side: Side) -> Mapping[tuple[Named, int, str], tuple[int, ...]]:
        sums: dict[Any, tuple[int, ...]] = {}
        for (operation, peer, reason, detail), counts in side.table.origins.items():
            text = known.detail(detail)
            place, reason = patience.charged(
                known.place(operation, peer, reason), known.operation(operation), reason, text
            )
            if near is None or place.service in near:
                key = (place, reason, text)
                sums[key] = tuple(map(sum, zip(sums.get(key, (0, 0)), counts, strict=True)))
        return sums

    new, old = summed(observed), summed(usual)
    pairs = [
        OriginPair(
            place=key[0],
            reason=key[1],
            detail=key[2],
            observed=new.get(key, (0, 0))[0],
            usual=old.get(key, (0, 0))[0],
            traces=new.get(key, (0, 0))[1],
        )
        for key in {**new, **old}
    ]
    return _ordered(pairs, lambda pair: _change(pair.observed, pair.usual, ratio))


def _shapes(
    observed: Side, usual: Side, known: Dictionary, near: Collection[str] | None
) -> list[ShapePair]:
    def summed(side: Side) -> tuple[dict[Any, int], dict[Named, int]]:
        shapes, totals = dict[Any, int](), dict[Named, int]()
        for (operation, number), answers in side.table.shapes.items():
            place = known.operation(operation)
            if near is None or place.service in near:
                key = (place, known.shape(side.table.shape_calls[number]))
                shapes[key] = shapes.get(key, 0) + answers
                totals[place] = totals.get(place, 0) + answers
        return shapes, totals

    (new, all_new), (old, all_old) = summed(observed), summed(usual)
    pairs = [
        ShapePair(
            place=key[0],
            calls=key[1],
            observed=new.get(key, 0),
            usual=old.get(key, 0),
            observed_total=all_new.get(key[0], 0),
            usual_total=all_old.get(key[0], 0),
        )
        for key in {**new, **old}
    ]
    return _ordered(
        pairs,
        lambda pair: _change(
            pair.observed, pair.usual, pair.observed_total / max(1, pair.usual_total)
        ),
    )


def _patterns(
    observed: Side, usual: Side, known: Dictionary, near: Collection[str] | None, ratio: float
) -> list[PatternPair]:
    def summed(side: Side) -> dict[int, int]:
        lines = dict[int, int]()
        for (_, pattern, severity), count in side.table.patterns.items():
            named = known.patterns.get(pattern)
            is_near = named is not None and (near is None or named.service in near)
            if is_near and severity >= WARNING:
                lines[pattern] = lines.get(pattern, 0) + count
        return lines

    new, old = summed(observed), summed(usual)
    pairs = [
        PatternPair(
            pattern=each,
            observed=new.get(each, 0),
            usual=old.get(each, 0),
            first=observed.table.firsts.get(each, 0),
        )
        for each in {**new, **old}
    ]
    return _ordered(pairs, lambda pair: _change(pair.observed, pair.usual, ratio))


def _ordered(pairs: list[K], change: Callable[[K], float]) -> list[K]:
    return sorted(pairs, key=lambda pair: (-change(pair), str(pair)))
