"""Why an anomaly is one, in a sentence that agrees with the range that was expected."""

from datetime import UTC, datetime
from typing import Final

from services.detector.model.anomalies import DRIFT, LAST_SAMPLE, Anomaly, Finding, Kind

_CONTEXTS: Final = {
    "change": "a jump to {value} is unlike its changes so far",
    "offset": "{value} is unusually far from its recent level",
    "daytime": "{value} is unusual at this time of day",
    "weekend": "{value} is unusual on this kind of day",
    "sequence": "{value} never followed a value like the one before",
    "pattern": "three values ending with {value} make a shape that was never seen",
    "run": "it stays near {value} for unusually long or short",
}
"""By the feature that brought most to the score, where the value itself was to be expected."""


def reason_of(anomaly: Anomaly) -> str:
    """One sentence, without the name of the series."""
    found = anomaly.finding
    if found.kind is Kind.ABSENCE:
        return _silence(found, anomaly.series_count)
    reason = _threshold(found) if found.kind is Kind.THRESHOLD else _value(found)
    if anomaly.series_count > 1:
        others = anomaly.series_count - 1
        named = f"{others} other series" if others > 1 else "another series"
        return f"{reason}; at the same time {named} of {'='.join(found.shared)}"
    return reason


def _silence(found: Finding, count: int) -> str:
    ages_s = (each.value for each in found.contributions if each.feature == LAST_SAMPLE)
    since = datetime.fromtimestamp(found.event_ms / 1000 - next(ages_s, found.value), UTC)
    silence = f"silent since {since:%Y-%m-%d %H:%M:%S} UTC"
    if count > 1:
        return f"{count} series of {'='.join(found.shared)} {silence}"
    often = f", often {_figure(found.expected_high)} s" if found.expected_high else ""
    return f"{silence}: longer than {_figure(found.value)} s{often}"


def _threshold(found: Finding) -> str:
    named = (each.feature for each in found.contributions if each.feature.startswith("rule:"))
    name = next(named, "").removeprefix("rule:")
    above = found.value >= found.expected_high
    limit = found.expected_high if above else found.expected_low
    side = "at or above" if above else "at or below"
    return f"{_figure(found.value)} is {side} {_figure(limit)}, the threshold of rule {name!r}"


def _value(found: Finding) -> str:
    low, high = _figure(found.expected_low), _figure(found.expected_high)
    value = _figure(found.value)
    if any(each.feature == DRIFT for each in found.contributions):
        return (
            f"its level, now near {value}, has drifted from the {low} to {high} of the weeks before"
        )
    if found.value > found.expected_high:
        return f"{value} is above the expected {low} to {high}"
    if found.value < found.expected_low:
        return f"{value} is below the expected {low} to {high}"
    positive = [each.feature for each in found.contributions if each.share > 0.0]
    first = next((_CONTEXTS[each] for each in positive if each in _CONTEXTS), None)
    pattern = first or "{value} comes in a way that was never seen"
    return f"{pattern.format(value=value)}, though within the expected {low} to {high}"


def _figure(value: float) -> str:
    return f"{value:.4g}"
