"""Which earlier anomaly was most like one: by the features that brought it about."""

import math
from collections.abc import Iterable
from typing import Final

from services.detector.model.anomalies import Finding

OTHER_SIDE: Final = 0.5
"""Of the likeness that is left when one was above and the other below what was expected."""


def similarity(one: Finding, other: Finding) -> float:
    """Likeness of two anomalies of one series, 0 to 1.

    The cosine of their features' values: 1 when the same features were new in the same proportion,
    however strong. Halved when they left the expected range on other sides. Of a rule or a silence
    1, since they have one feature; 0 when either has none.
    """
    first = {each.feature: each.value for each in one.contributions}
    second = {each.feature: each.value for each in other.contributions}
    norms = math.hypot(*first.values()) * math.hypot(*second.values())
    if not (norms > 0.0 and math.isfinite(norms)):
        return 0.0
    shared = sum(value * second.get(feature, 0.0) for feature, value in first.items())
    cosine = min(max(shared / norms, 0.0), 1.0)
    return cosine if _side(one) == _side(other) else OTHER_SIDE * cosine


def nearest(finding: Finding, earlier: Iterable[Finding]) -> tuple[Finding, float] | None:
    """The most similar one, the newest of equals, and how similar it is; None without any."""
    rated = [(each, similarity(finding, each)) for each in earlier]
    return max(rated, key=lambda pair: (pair[1], pair[0].event_ms), default=None)


def _side(finding: Finding) -> int:
    return (finding.value > finding.expected_high) - (finding.value < finding.expected_low)
