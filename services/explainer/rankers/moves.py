"""Which series moved the bad way, by the service they belong to."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from services.explainer.model.case import Case, ServiceGraph
from services.explainer.model.ranking import Reason
from services.explainer.model.windows import Deviation, SeriesWindow
from services.explainer.rankers.deviation import USUAL_SIGMAS, deviation
from services.explainer.rankers.measures import Measure, bad_direction, measure_of_series

FAR_OUTSIDE = "far outside its usual range"
"""Said of a series whose spread is too small to count in."""

_TEXTS_KEPT = 4096

Wanted = Callable[[SeriesWindow], bool]


def any_series(window: SeriesWindow) -> bool:
    """Wants every series."""
    return True


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Move:
    """One series and how it left its baseline."""

    window: SeriesWindow
    measure: Measure
    deviation: Deviation

    @property
    def size(self) -> float:
        """Robust standard deviations the bad way, ≥ 0."""
        return self.deviation.size

    def reason(self) -> Reason:
        """Why this move makes its service suspect, with the figures of the deviation."""
        return Reason(
            text=_text(self.window.metric, self.deviation),
            evidence_id=self.window.evidence_id,
            score=self.deviation.size,
        )


@lru_cache(_TEXTS_KEPT)
def _text(metric: str, found: Deviation) -> str:
    """Several rankers say the same of a series, and of each of many like subjects."""
    verb = {1: "rose", -1: "fell", 0: "stayed"}[found.direction]
    return f"{metric} {verb} from {found.baseline:.4g} to {found.observed:.4g}, {_how_far(found)}"


def _how_far(found: Deviation) -> str:
    if found.size < USUAL_SIGMAS:
        return "within its usual range"
    return f"{found.size:.1f} times its usual spread" if found.is_quotable else FAR_OUTSIDE


def move_of(window: SeriesWindow, measure: Measure) -> Move:
    """How `window` moved in the direction that is bad for `measure`, either way if none is."""
    if measure is Measure.AVAILABILITY:
        return Move(window=window, measure=measure, deviation=_shortfall(window))
    moved = deviation(window, towards=bad_direction(window, measure))
    return Move(window=window, measure=measure, deviation=moved)


def moves_of(
    case: Case, measures: frozenset[Measure], wanted: Wanted = any_series
) -> Mapping[str, list[Move]]:
    """Moves of the series of these measures by service, the farthest first."""
    found: dict[str, list[Move]] = defaultdict(list)
    for window in case.series:
        measure = measure_of_series(window)
        if window.service and measure in measures and wanted(window):
            found[window.service].append(move_of(window, measure))
    for moves in found.values():
        moves.sort(key=lambda m: (-m.size, m.window.evidence_id))
    return found


def reasons_of(found: Mapping[str, Sequence[Move]]) -> dict[str, list[Reason]]:
    """Why each service is suspect, by its moves."""
    return {service: [each.reason() for each in moves] for service, moves in found.items()}


def unexplained_in(graph: ServiceGraph, strength: Mapping[str, float]) -> dict[str, float]:
    """Strength of each service less what the strongest of those that it calls explains of it."""
    found = dict.fromkeys(strength, 0.0)
    for service, own in strength.items():
        called = (strength.get(each, 0.0) for each in graph.callees(service) if each != service)
        if own:
            found[service] = own * (1.0 - min(1.0, max(called, default=0.0) / own) ** 2)
    return found


def _shortfall(window: SeriesWindow) -> Deviation:
    """A fall of a share is judged by what is missing from its ceiling, 1 or 100."""
    finite = window.values[np.isfinite(window.values)]
    ceiling = 100.0 if finite.size and finite.max() > 1.5 else 1.0
    short = deviation(replace(window, values=ceiling - window.values), towards=1)
    return replace(
        short,
        direction=-short.direction,
        baseline=ceiling - short.baseline,
        observed=ceiling - short.observed,
    )
