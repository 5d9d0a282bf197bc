"""The one-pass reader of alerts: it finds what the lenient one finds, or leaves the body to it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.intake.alerts import _read_leniently
from services.gateway.intake.plain_alerts import read_plain

ALERT = {
    "status": "firing",
    "labels": {"alertname": "Slow", "long": "x" * 250},
    "annotations": {"summary": "it is slow", "empty": "", "long": "y" * 300},
    "startsAt": "2026-11-20T10:00:00.123456789Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "http://prometheus/graph",
    "fingerprint": "c1b6f4ba2b40ba46",
}
NOTICE = {
    "version": "4",
    "groupKey": "{}:{}",
    "truncatedAlerts": 0,
    "status": "firing",
    "receiver": "sensus",
    "groupLabels": {},
    "commonLabels": {"alertname": "Slow"},
    "commonAnnotations": {},
    "externalURL": "http://alertmanager",
}

TEXTS = st.text(max_size=20) | st.sampled_from(["", " ", "resolved", "x" * 300, "\0", "ü"])
TIMES = st.sampled_from(
    [
        "2026-11-20T10:00:00Z",
        "2026-11-20T10:00:00.1239999999+01:00",
        "9999-12-31T23:59:59-01:00",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:00",
        "1969-12-31T23:59:59.5Z",
        "1970-01-01T00:00:00Z",
        "2026-11-20 10:00",
        "20261120T100000Z",
        "1795844358",
        "Fri, 20 Nov 2026 10:00:00 GMT",
        "yesterday",
        "",
        " ",
    ]
)
OTHER = st.none() | st.booleans() | st.integers() | st.floats() | st.lists(TEXTS, max_size=2)
LABELS = st.dictionaries(TEXTS, TEXTS, max_size=4)
ALERTS = st.fixed_dictionaries(
    {"labels": LABELS | LABELS | OTHER},
    optional={
        "annotations": LABELS | OTHER,
        "status": st.sampled_from(["firing", "resolved", "", "Resolved", "ok", "odd"]) | OTHER,
        "startsAt": TIMES | OTHER,
        "endsAt": TIMES | OTHER,
        "generatorURL": TEXTS | OTHER,
        "fingerprint": TEXTS | OTHER,
        "StartsAt": TIMES,
        "panelURL": TEXTS,
    },
)
NOTICES = st.fixed_dictionaries(
    {"alerts": st.lists(ALERTS, max_size=3) | OTHER},
    optional={
        "status": st.sampled_from(["firing", "resolved", "", "OK"]) | OTHER,
        "version": TEXTS | OTHER,
        "truncatedAlerts": st.integers() | OTHER,
        "commonLabels": LABELS | OTHER,
        "title": TEXTS,
    },
)


@given(content=NOTICES | st.lists(ALERTS, max_size=3))
def test_what_it_finds_the_lenient_reader_finds_too(content: Any) -> None:
    body = json.dumps(content).encode()
    found = read_plain(body)
    if found is not None:
        request, places, outcome = _read_leniently(body)
        assert found == request
        assert places == list(range(len(found.alerts)))
        assert not outcome.warnings
        assert not outcome.refusals


@pytest.mark.parametrize("content", [NOTICE | {"alerts": [ALERT, ALERT]}, [ALERT], []])
def test_what_alertmanager_and_prometheus_send_takes_the_short_way(content: Any) -> None:
    body = json.dumps(content).encode()
    found = read_plain(body)
    assert found is not None
    assert found == _read_leniently(body)[0]


@pytest.mark.parametrize(
    "change",
    [
        {"panelURL": "http://grafana/d/1"},
        {"labels": {}},
        {"labels": {"a": ""}},
        {"labels": {"a": 1}},
        {"labels": {"a": "x" * 300}},
        {"Status": "firing"},
        {"status": "ok"},
        {"startsAt": "yesterday"},
        {"startsAt": 1795844358},
        {"annotations": None},
    ],
)
def test_what_must_be_mended_is_left_to_the_lenient_reader(change: dict[str, Any]) -> None:
    assert read_plain(json.dumps(NOTICE | {"alerts": [ALERT, ALERT | change]}).encode()) is None
