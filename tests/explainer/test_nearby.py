"""Which of the alerts and anomalies around an event become evidence."""

import dataclasses

from services.explainer.clients.detector import anomaly_facts
from services.explainer.evidence.sources.nearby import weightiest
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
    kept = weightiest([*silences, critical], subject, 20)
    assert len(kept) == 20
    assert kept[0].ref == critical.ref


def test_of_equal_severity_what_shares_a_label_comes_first_then_what_is_close() -> None:
    subject = found(0, "critical", host="web-1")
    far, near = found(1, "info", ago_s=500), found(2, "info", ago_s=5)
    same = found(3, "info", host="web-1", ago_s=900)
    assert weightiest([far, near, same, subject], subject, 9) == [same, near, far]
