"""Recording rules of the objectives, and alerts on how fast their budgets burn.

Every objective allows a share of bad requests. What is kept per window is that share,
`slo_error_rate`; an alert fires when two windows together burn the budget of the month so fast
that it would be gone soon (Google, The Site Reliability Workbook, chapter 5).
"""

from collections.abc import Iterator
from typing import Final

from cli.slo.counts import DURATION
from cli.slo.objectives import load_objectives
from observability.rules.rule import Group, Record, Rule, Severity

_OBJECTIVES: Final = load_objectives()
_COVERED: Final = f'route!~"{_OBJECTIVES.excluded_routes}"'
_MONTH: Final = f"{_OBJECTIVES.window_days}d"
_WINDOWS: Final = ("5m", "30m", "1h", "2h", "6h", "1d", "3d", _MONTH)
_LEAST_REQUESTS: Final = 100
"""Of fewer requests in the long window one bad one says nothing."""

_BURNS: Final = (
    # share of the month's budget spent in the long window: 2 %, 5 %, 10 %, 10 %
    ("SensusErrorBudgetBurningFast", "5m", "1h", 14.4, Severity.CRITICAL),
    ("SensusErrorBudgetBurning", "30m", "6h", 6.0, Severity.CRITICAL),
    ("SensusErrorBudgetBurningSlowly", "2h", "1d", 3.0, Severity.WARNING),
    ("SensusErrorBudgetLeaking", "6h", "3d", 1.0, Severity.WARNING),
)


def _good_of_latency(seconds: float, window: str) -> str:
    return f'sum(increase({DURATION}_bucket{{{_COVERED},le="{_bound(seconds)}"}}[{window}]))'


def _bound(seconds: float) -> str:
    """As prometheus_client writes the bound of a bucket."""
    return str(float(seconds))


def _requests(window: str, statuses: str = "", by: str = "") -> str:
    matcher = f',status=~"{statuses}"' if statuses else ""
    return f"sum{by}(increase({DURATION}_count{{{_COVERED}{matcher}}}[{window}]))"


def _bad_share(objective: str, window: str) -> str:
    every = _requests(window)
    for latency in _OBJECTIVES.latency:
        if latency.name == objective:
            return f"1 - {_good_of_latency(latency.seconds, window)} / {every}"
    statuses = {
        "availability": _OBJECTIVES.availability.bad_statuses,
        "errors": _OBJECTIVES.errors.bad_statuses,
    }[objective]
    # without a bad request there is no series to divide: that is none, not unknown
    return f"({_requests(window, statuses)} or 0 * {every}) / {every}"


def _records() -> Iterator[Record]:
    yield Record(name="slo_requests_total", expr=f"sum by (route) ({DURATION}_count{{{_COVERED}}})")
    yield Record(
        name="slo_latency_histogram_bucket",
        expr=f"sum by (route, le) ({DURATION}_bucket{{{_COVERED}}})",
    )
    for objective in _OBJECTIVES.allowed():
        for window in _WINDOWS:
            yield Record(
                name="slo_error_rate",
                expr=_bad_share(objective, window),
                labels={"slo": objective, "window": window},
            )
    by_route = " by (route) "
    bad = _requests(_MONTH, _OBJECTIVES.availability.bad_statuses, by_route)
    every = _requests(_MONTH, by=by_route)
    yield Record(name="slo_availability", expr=f"1 - ({bad} or 0 * {every}) / {every}")
    for objective, allowed in _OBJECTIVES.allowed().items():
        yield Record(
            name="slo_error_budget_remaining",
            expr=f"1 - sum({_kept(objective, _MONTH)}) / {allowed:.6g}",
            labels={"slo": objective},
        )


def _kept(objective: str, window: str) -> str:
    return f'slo_error_rate{{slo="{objective}",window="{window}"}}'


def _burn(name: str, short: str, long: str, factor: float, severity: Severity) -> Rule:
    # more than all requests cannot be bad, so the slack objectives burn slowly only
    bounds = {
        objective: factor * allowed
        for objective, allowed in _OBJECTIVES.allowed().items()
        if factor * allowed < 1
    }
    ok = f'{DURATION}_count{{route="/api/v1/alerts",status="200"}}'
    objective, bound = next(iter(bounds.items()))
    in_short, in_long = _kept(objective, short), _kept(objective, long)
    return Rule(
        name=name,
        expr=" or ".join(
            f"{_kept(objective, short)} > {bound:.6g} and ignoring (window) "
            f"{_kept(objective, long)} > {bound:.6g} and on () "
            f"{_requests(long)} > {_LEAST_REQUESTS}"
            for objective, bound in bounds.items()
        ),
        lasts="2m",
        severity=severity,
        summary=(
            "Errors of the kind {{ $labels.slo }} come "
            f"at {factor:g} times the rate that the objective of a month allows"
        ),
        labels={"slo": objective, "window": short},
        fires={in_short: f"{2 * bound:.6g}x60", in_long: f"{2 * bound:.6g}x60", ok: "0+90x60"},
        quiet={in_short: f"{2 * bound:.6g}x60", in_long: f"{bound / 2:.6g}x60", ok: "0+90x60"},
        after="1h",
    )


RECORDING: Final = Group(name="sensus-slo", records=tuple(_records()))
BURNING: Final = Group(name="sensus-error-budgets", rules=tuple(_burn(*burn) for burn in _BURNS))
