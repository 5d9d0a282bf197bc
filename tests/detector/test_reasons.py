"""What is said of an anomaly agrees with what was expected of the series."""

import math
from datetime import UTC, datetime

import pytest

from services.detector.convert.reasons import reason_of
from services.detector.detectors.contexts import FEATURES
from services.detector.model.anomalies import Anomaly, Contribution, Finding, Kind, Severity

NOON_MS = 1_780_315_200_000


def reason(
    kind: Kind, value: float, low: float, high: float, feature: str = "change", count: int = 1
) -> str:
    finding = Finding(
        anomaly_id="a", series_id=1, labels={}, kind=kind, severity=Severity.WARNING,
        event_ms=NOON_MS, value=value, raw_score=0.99, alert_score=0.9, expected_low=low,
        expected_high=high, model_version=1, shared=("service", "shop"),
        contributions=(Contribution(feature="run", value=0.0, share=-0.6),
                       Contribution(feature=feature, value=2.0, share=0.4)),
    )  # fmt: skip
    moment = datetime(2026, 6, 1, tzinfo=UTC)
    return reason_of(Anomaly(finding=finding, cursor=1, commit_time=moment, series_count=count))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((Kind.VALUE, 99.5, 1.0, 12.25), "99.5 is above the expected 1 to 12.25"),
        ((Kind.VALUE, -3.0, 1.0, 12.0), "-3 is below the expected 1 to 12"),
        ((Kind.VALUE, 99.5, 1.0, 12.25, "drift"),
         "its level, now near 99.5, has drifted from the 1 to 12.25 of the weeks before"),
        ((Kind.THRESHOLD, 97.0, -math.inf, 90.0, "rule:cpu"),
         "97 is at or above 90, the threshold of rule 'cpu'"),
        ((Kind.THRESHOLD, 97.0, 100.0, math.inf, "rule:rows"),
         "97 is at or below 100, the threshold of rule 'rows'"),
        ((Kind.ABSENCE, 60.0, 0.0, 15.0),
         "silent since 2026-06-01 11:59:00 UTC: longer than 60 s, often 15 s"),
        ((Kind.ABSENCE, 60.0, 0.0, 0.0), "silent since 2026-06-01 11:59:00 UTC: longer than 60 s"),
        ((Kind.ABSENCE, 60.0, 0.0, 1.0, "silence_seconds", 25),
         "25 series of service=shop silent since 2026-06-01 11:59:00 UTC"),
        ((Kind.ABSENCE, 60.0, 0.0, 0.0, "seconds_since_last_sample"),
         "silent since 2026-06-01 11:59:58 UTC: longer than 60 s"),
        ((Kind.VALUE, 9.0, 1.0, 2.0, "change", 2),
         "9 is above the expected 1 to 2; at the same time another series of service=shop"),
    ],
)  # fmt: skip
def test_reason_says_on_which_side_of_the_expected_the_value_lies(
    arguments: tuple[Kind, float, float, float], expected: str
) -> None:
    assert reason(*arguments) == expected


@pytest.mark.parametrize("feature", FEATURES)
def test_reason_of_a_value_within_its_range_names_what_else_is_strange(feature: str) -> None:
    announced = reason(Kind.VALUE, 5.0, 1.0, 12.0, feature)
    assert announced.endswith(", though within the expected 1 to 12")
    others = {reason(Kind.VALUE, 5.0, 1.0, 12.0, each) for each in FEATURES if each != feature}
    assert announced not in others
