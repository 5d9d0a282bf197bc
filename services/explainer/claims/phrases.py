"""What one piece of evidence says, as a part of a sentence. Pure.

Figures, units, names and times come from the evidence.
"""

from typing import Final

from services.explainer.claims.counted import of_traces
from services.explainer.claims.facts import Facts
from services.explainer.claims.figures import clock, lasted, shown, shown_time
from services.explainer.model.evidence import Evidence, EvidenceKind
from services.explainer.model.names import is_name, plain, series_name
from services.explainer.rankers.moves import FAR_OUTSIDE
from services.explainer.rankers.saturation import Resource, is_free, resource_of

_SAME_DAY_MS: Final = 12 * 3_600_000


def what_moved(piece: Evidence, facts: Facts) -> str:
    """`cpu rose from 2 % to 98 %, 31 times its usual spread, since 22:11:20 UTC, …`."""
    if piece.is_exhausted:
        return ran_full(piece, facts)
    if piece.kind is EvidenceKind.CHANGE:
        return what_changed(piece, facts)
    if piece.is_counted:
        return of_traces(piece)
    baseline, observed = piece.figure("baseline"), piece.figure("observed")
    if baseline is None or observed is None or not piece.has_moved:
        return title_of(piece)
    rose = "rose" if observed.value >= baseline.value else "fell"
    size = piece.figure("size_sigma")
    far = f"{shown(size)} times its usual spread" if size else FAR_OUTSIDE
    text = f"{metric_of(piece)} {rose} from {shown(baseline)} to {shown(observed)}, {far}"
    return f"{text}, {since(piece, facts)}"


def since(piece: Evidence, facts: Facts) -> str:
    """`since 22:11:20 UTC, 2 min before the alert`; "" when that is not known."""
    begun_ms = facts.begun_ms(piece)
    if begun_ms is None:
        return ""
    return f"since {time_of(begun_ms, facts)}, {beside_event(begun_ms, facts)}"


def time_of(at_ms: int, facts: Facts) -> str:
    """The time of day; with the day where it may be another one."""
    near = abs(facts.subject.event_ms - at_ms) < _SAME_DAY_MS
    return clock(at_ms) if near else shown_time(at_ms)


def beside_event(at_ms: int, facts: Facts) -> str:
    """`2 min before the alert`, or after it, or with it."""
    before_s, event = (facts.subject.event_ms - at_ms) / 1000, facts.subject.ref.kind.value
    if not before_s:
        return f"with the {event}"
    side = "before" if before_s > 0 else "after"
    return f"{lasted(abs(before_s))} {side} the {event}"


def ran_full(piece: Evidence, facts: Facts) -> str:
    """`disk_used_percent ran full, 100 %, since …`, in the form that fits the resource."""
    metric = piece.labels.get("__name__", "")
    if resource_of(metric) is Resource.CERTIFICATE:
        return f"{metric_of(piece)} tells that a certificate expired, {since(piece, facts)}"
    limit, level = piece.figure("limit"), piece.figure("observed")
    amount = shown(level) if level else ""
    if level and limit and limit.unit != "%":
        amount += f" of {shown(limit)}"
    if is_free(metric):
        how = f"fell to {amount}" if amount else "ran out"
    else:
        how = f"ran full, {amount}" if amount else "ran full"
    return f"{metric_of(piece)} {how}, {since(piece, facts)}"


def metric_of(piece: Evidence) -> str:
    """The metric of a series; with its labels when its name alone reads like a number."""
    metric = plain(piece.labels.get("__name__", ""))
    return metric if is_name(metric) else series_name(piece.labels)


def title_of(piece: Evidence) -> str:
    """What the evidence says of itself."""
    return plain(piece.title, 200)


def what_changed(piece: Evidence, facts: Facts) -> str:
    """`deploy of api at 22:11:20 UTC, 2 min before the alert`."""
    at_ms = facts.begun_ms(piece)
    if at_ms is None:
        return plain(piece.title, 200)
    beside = beside_event(at_ms, facts)
    if facts.is_late(piece):
        beside = f"{lasted((at_ms - facts.onset_ms) / 1000)} after it began"
    return f"{plain(piece.title, 200)} at {time_of(at_ms, facts)}, {beside}"
