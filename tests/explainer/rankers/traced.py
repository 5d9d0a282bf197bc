"""What topology would count of a small shop: usual traffic, and what goes wrong in it."""

from collections.abc import Mapping, Sequence

from services.explainer.model.case import Case, ServiceGraph, Subject
from services.explainer.model.ranking import Ranking
from services.explainer.model.traces import (
    Call,
    CallCounts,
    CallKind,
    Coverage,
    DirectCall,
    Durations,
    LogLines,
    Origin,
    Reason,
    Shape,
    Traces,
    Version,
)

OBSERVED, USUAL = 100, 1000
"""Requests on both sides."""

MINUTE_MS = 60_000
START_MS = 20 * MINUTE_MS

ROUTES = (
    ("", "", "web", "GET /buy"),
    ("web", "GET /buy", "cart", "Add"),
    ("cart", "Add", "stock", "Reserve"),
    ("web", "GET /buy", "pay", "Charge"),
)
"""Who calls whom: caller, its operation, callee, its operation."""

SERVICES = ("web", "cart", "stock", "pay")


def took(count: int, middle: float, slow_share: float = 0.0, slow: float = 0.0) -> Durations:
    """So many spans around `middle` seconds, of which a share took `slow` seconds."""
    slowest = slow if slow_share >= 0.05 else 1.8 * middle
    half = slow if slow_share >= 0.5 else middle
    mean = 1.1 * middle * (1 - slow_share) + slow * slow_share
    longest = max(slow if slow_share else 0.0, slowest, half)
    return Durations(
        count=count, p50=half, p95=max(slowest, half), longest=longest, sum=count * mean
    )


def counts(spans: int, *, errors: int = 0, own: float = 0.02, wait: float = 0.002) -> CallCounts:
    """So many spans, each with some work of its own."""
    return CallCounts(
        spans=spans,
        errors=errors,
        duration=took(spans, own + wait),
        own=took(spans, own),
        wait=took(spans, wait),
    )


def calls(changed: Mapping[tuple[str, str], CallCounts] | None = None) -> tuple[Call, ...]:
    """Every call of the shop; the observed side of some, by caller and callee, is another one."""
    return tuple(
        Call(
            caller=caller,
            caller_operation=operation,
            service=callee,
            operation=called,
            via=CallKind.CALL if caller else CallKind.ENTRY,
            observed=(changed or {}).get((caller, callee), counts(OBSERVED)),
            usual=counts(USUAL),
        )
        for caller, operation, callee, called in ROUTES
    )


def traces(
    made: Sequence[Call] | None = None,
    origins: Sequence[Origin] = (),
    shapes: Sequence[Shape] = (),
    lines: Sequence[LogLines] = (),
    versions: Sequence[Version] = (),
) -> Traces:
    """Both sides, of the calls of the shop unless others are given."""
    return Traces(
        start_ms=START_MS,
        end_ms=START_MS + 2 * MINUTE_MS,
        observed=Coverage(minutes=2, traces=OBSERVED, spans=4 * OBSERVED),
        usual=Coverage(minutes=20, traces=USUAL, spans=4 * USUAL),
        calls=tuple(calls() if made is None else made),
        origins=tuple(origins),
        shapes=tuple(shapes),
        lines=tuple(lines),
        versions=tuple(versions),
    )


def case(found: Traces) -> Case:
    """An alert on the entry of the shop."""
    subject = Subject(id="a1", labels={"service": "web"}, service="web", started_ms=START_MS)
    return Case(subject=subject, traces=found, graph=ServiceGraph(edges=found.edges))


def origin(service: str, observed: int, usual: int = 0, reason: Reason = Reason.STATUS) -> Origin:
    """Errors that began in a service."""
    operation = next(called for *_, callee, called in ROUTES if callee == service)
    return Origin(
        evidence_id=f"origin|{service}|{reason.value}",
        service=service,
        operation=operation,
        reason=reason,
        detail="ValueError" if reason is Reason.EXCEPTION else "",
        observed=observed,
        usual=usual,
    )


REDIS = frozenset(
    {
        DirectCall(service="redis", operation="redis GET"),
        DirectCall(service="redis", operation="redis SET"),
    }
)


def shapes(early: int, usual_early: int = 0) -> tuple[Shape, ...]:
    """Answers of stock that ask redis, and those that return early."""
    none: frozenset[DirectCall] = frozenset()
    told = ((REDIS, OBSERVED - early, USUAL - usual_early), (none, early, usual_early))
    return tuple(
        Shape(
            evidence_id=f"shape|{len(made)}",
            service="stock",
            operation="Reserve",
            calls=made,
            observed=observed,
            usual=usual,
            observed_total=OBSERVED,
            usual_total=USUAL,
        )
        for made, observed, usual in told
    )


def named(found: Ranking) -> str:
    """Who is named; "" for nobody."""
    return "" if found.abstained else found.suspects[0].entity
