"""Where a change happens, as its labels say."""

import pytest

from services.incidents.model.change import Change, Kind, Severity


@pytest.mark.parametrize(
    ("labels", "service"),
    [
        ({"service": "shop", "job": "node", "instance": "web-1"}, "shop"),
        ({"job": "api", "instance": "web-1:8080"}, "api"),
        ({"job": "node", "instance": "web-1"}, "web-1"),
        ({"job": "node-exporter", "instance": "web-1:9100"}, "web-1:9100"),
        ({"job": "node_exporter", "host": "web-1"}, "web-1"),
        ({"job": "node"}, ""),
    ],
)
def test_what_reads_machines_is_no_service(labels: dict[str, str], service: str) -> None:
    change = Change(
        member_id="m",
        kind=Kind.ANOMALY,
        fingerprint="f",
        labels=labels,
        severity=Severity.WARNING,
        start_ms=1,
    )
    assert change.service == service
