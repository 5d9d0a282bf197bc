"""Which of the alerts and anomalies around an event become evidence."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from services.explainer.clients.detector import anomaly_facts
from services.explainer.evidence.sources.neighbours import Neighbours
from services.explainer.model.subjects import SubjectFacts
from tests.explainer.peers import EVENT_MS, anomaly


def found(number: int, severity: str, *, host: str = "x", ago_s: int = 0) -> SubjectFacts:
    """An anomaly of a host, so long before the event."""
    facts = anomaly_facts(anomaly(f"n{number}", __name__="m", host=host))
    return dataclasses.replace(facts, severity=severity, event_ms=EVENT_MS - 1000 * ago_s)


def test_a_critical_threshold_is_not_crowded_out_by_newer_silences() -> None:
    subject = found(0, "critical", host="web-1")
    silences = [found(n, "info") for n in range(1, 40)]
    critical = found(99, "critical", ago_s=600)
    kept = Neighbours([*silences, critical], "detector").weightiest(subject, 20)
    assert len(kept) == 20
    assert kept[0].ref == critical.ref


def test_of_equal_severity_what_shares_a_label_comes_first_then_what_is_close() -> None:
    subject = found(0, "critical", host="web-1")
    far, near = found(1, "info", ago_s=500), found(2, "info", ago_s=5)
    same = found(3, "info", host="web-1", ago_s=900)
    assert Neighbours([far, near, same, subject], "detector").weightiest(subject, 9) == [
        same,
        near,
        far,
    ]


LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xy"))
OTHERS = st.lists(
    st.tuples(st.sampled_from(["critical", "warning", "info"]), LABELS, st.integers(-9, 9)),
    max_size=12,
)


@given(others=OTHERS, labels=LABELS, at_most=st.integers(1, 6), place=st.integers(0, 12))
def test_what_is_looked_through_once_is_what_each_would_sort_for_itself(
    others: list[tuple[str, dict[str, str], int]], labels: dict[str, str], at_most: int, place: int
) -> None:
    everyone = [
        dataclasses.replace(found(number, severity, ago_s=ago_s), labels=theirs)
        for number, (severity, theirs, ago_s) in enumerate(others)
    ]
    subject = dataclasses.replace(found(99, "warning"), labels=labels)
    everyone.insert(place, subject)

    def weight(each: SubjectFacts) -> tuple[int, int, int, str]:
        shared = sum(each.labels.get(name) == value for name, value in labels.items())
        severity = ["critical", "warning", "info"].index(each.severity)
        return severity, -shared, abs(each.event_ms - EVENT_MS), each.ref.id

    expected = sorted((each for each in everyone if each is not subject), key=weight)
    neighbours = Neighbours(everyone, "detector")
    for _ in range(2):
        assert neighbours.weightiest(subject, at_most) == expected[:at_most]
