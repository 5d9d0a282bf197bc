"""Alerts as their senders really write them: gateway, ingest and PostgreSQL are real."""

import time
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

NOW_S = int(time.time())


def at(offset_s: float) -> str:
    """A time so many seconds from now, as Go writes it."""
    return datetime.fromtimestamp(NOW_S + offset_s, UTC).isoformat().replace("+00:00", "Z")


def alert(**changes: Any) -> dict[str, Any]:
    """A firing alert of Alertmanager, changed."""
    usual = {
        "status": "firing",
        "labels": {"alertname": "Odd"},
        "annotations": {"summary": "it is odd"},
        "startsAt": at(-600),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
    }
    return {name: value for name, value in (usual | changes).items() if value is not ...}


FIRING, RESOLVED = "ALERT_STATE_FIRING", "ALERT_STATE_RESOLVED"
DEEP = {"a": [{"b": None}, 1, "x"]}

# what is sent, what is stored of it, which warnings the answer has
TABLE: dict[str, tuple[dict[str, Any], dict[str, Any], list[str]]] = {
    "plain": (alert(), {"state": FIRING}, []),
    "names in capitals, as Go writes them untagged": (
        {"Labels": {"alertname": "Caps"}, "StartsAt": at(-600), "Status": "firing"},
        {"state": FIRING, "startTime": at(-600)},
        [],
    ),
    "no alertname": (alert(labels={"app": "pay"}), {"labels": {"app": "pay"}}, []),
    "labels of any name": (
        alert(labels={"k8s.pod/name": "a", "größe": "b", "x y": "c"}),
        {"labels": {"k8s.pod/name": "a", "größe": "b", "x y": "c"}},
        [],
    ),
    "labels that are no texts": (
        alert(labels={"n": 5, "f": 0.10, "b": True, "none": None, "o": {"k": 1}}),
        {"labels": {"n": "5", "f": "0.1", "b": "true", "o": '{"k":1}'}},
        ["TEXT_ASSUMED"] * 5,
    ),
    "labels as pairs": (
        alert(labels=[{"name": "host", "value": "h"}, {"name": "", "value": "x"}, 7]),
        {"labels": {"host": "h"}},
        [],
    ),
    "only the notice has labels": (
        {"alerts": [alert(labels={})], "commonLabels": {"alertname": "Common"}},
        {"labels": {"alertname": "Common"}},
        ["LABELS_ASSUMED"],
    ),
    "annotations that are no texts": (
        alert(annotations={"n": 1, "deep": DEEP, "none": None, "": "x", "ok": "y"}),
        {"annotations": {"n": "1", "deep": '{"a":[{"b":null},1,"x"]}', "ok": "y"}},
        ["TEXT_ASSUMED"] * 3,
    ),
    "annotations that are a text": (
        alert(annotations="it is odd"),
        {"annotations": {}},
        ["FIELD_DROPPED"],
    ),
    "annotations null": (alert(annotations=None), {"annotations": {}}, []),
    "a very long annotation": (
        alert(annotations={"log": "x" * 100_000}),
        {"state": FIRING},
        ["ANNOTATION_CUT"],
    ),
    "status in capitals with blanks": (alert(status=" FIRING "), {"state": FIRING}, []),
    "status ok": (alert(status="OK", endsAt=at(-60)), {"state": RESOLVED, "endTime": at(-60)}, []),
    "status of a listing": (alert(status={"state": "active"}), {"state": FIRING}, []),
    "status unknown": (alert(status="purple"), {"state": FIRING}, ["STATUS_UNKNOWN"]),
    "status empty": (alert(status=""), {"state": FIRING}, []),
    "status absent, over": (
        alert(status=..., endsAt=at(-5)),
        {"state": RESOLVED, "endTime": at(-5)},
        [],
    ),
    "status absent, of a resolved notice": (
        {"status": "resolved", "alerts": [alert(status=...)]},
        {"state": RESOLVED},
        [],
    ),
    "start absent": (alert(startsAt=...), {"startTime": "now"}, ["START_TIME_ASSUMED"]),
    "start null": (alert(startsAt=None), {"startTime": "now"}, ["START_TIME_ASSUMED"]),
    "start empty": (alert(startsAt=""), {"startTime": "now"}, ["START_TIME_ASSUMED"]),
    "start in words": (
        alert(startsAt="yesterday"),
        {"startTime": "now"},
        ["TIME_UNREADABLE", "START_TIME_ASSUMED"],
    ),
    "start an object": (
        alert(startsAt={"seconds": 5}),
        {"startTime": "now"},
        ["TIME_UNREADABLE", "START_TIME_ASSUMED"],
    ),
    "start in year 0": (
        alert(startsAt="0000-01-01T00:00:00+14:00"),
        {"startTime": "now"},
        ["START_TIME_ASSUMED"],
    ),
    "start in 1970": (alert(startsAt=0), {"startTime": "now"}, ["START_TIME_ASSUMED"]),
    "start in seconds": (alert(startsAt=NOW_S - 90), {"startTime": at(-90)}, []),
    "start in milliseconds": (alert(startsAt=(NOW_S - 90) * 1000), {"startTime": at(-90)}, []),
    "start in nanoseconds": (
        alert(startsAt=str((NOW_S - 90) * 10**9)),
        {"startTime": at(-90)},
        [],
    ),
    "start with nanoseconds and a zone": (
        alert(startsAt="2026-11-20T12:00:00.123456789+02:00", endsAt=...),
        {"startTime": "2026-11-20T10:00:00.123Z"},
        [],
    ),
    "start without a zone": (
        alert(startsAt="2026-11-20T10:00:00"),
        {"startTime": "2026-11-20T10:00:00Z"},
        [],
    ),
    "start by a fast clock": (
        alert(startsAt=at(3900)),
        {"startTime": "now", "state": FIRING},
        ["START_TIME_CLAMPED"],
    ),
    "start in year 10000": (
        alert(startsAt="9999-12-31T23:59:59-01:00"),
        {"startTime": "now"},
        ["START_TIME_CLAMPED"],
    ),
    "start twenty years ago": (
        alert(startsAt="2006-01-02T15:04:05Z"),
        {"startTime": at(-366 * 86_400)},
        ["START_TIME_CLAMPED"],
    ),
    "end before the start": (
        alert(status="resolved", endsAt=at(-601)),
        {"state": RESOLVED, "endTime": at(-600)},
        ["END_TIME_CLAMPED"],
    ),
    "end in year 10000": (
        alert(status="resolved", endsAt="9999-12-31T23:59:59-01:00"),
        {"state": RESOLVED, "endTime": "now"},
        ["END_TIME_CLAMPED"],
    ),
    "end in words": (
        alert(status="resolved", endsAt="soon"),
        {"state": RESOLVED, "endTime": "now"},
        ["TIME_UNREADABLE"],
    ),
    "severity": (
        alert(labels={"severity": "P1 - Critical "}),
        {"severity": "SEVERITY_CRITICAL"},
        [],
    ),
    "severity unknown": (
        alert(labels={"severity": "mauve"}),
        {"severity": "SEVERITY_WARNING"},
        ["SEVERITY_UNKNOWN"],
    ),
    "link of another type": (alert(generatorURL=None), {"generatorUrl": ""}, []),
    "of Grafana": (
        {"version": "1", "orgId": 7, "alerts": [alert(values=None, dashboardURL="http://g/d")]},
        {"annotations": {"summary": "it is odd", "dashboardURL": "http://g/d", "orgId": "7"}},
        [],
    ),
    "without a version": ({"alerts": [alert()]}, {"state": FIRING}, []),
    "of a version to come": ({"version": 5, "alerts": [alert()]}, {"state": FIRING}, []),
}


def numbered(sent: dict[str, Any], number: int) -> Any:
    """The same with a label that no other row has."""
    if "alerts" in sent:
        return sent | {"alerts": [numbered(each, number) for each in sent["alerts"]]}
    labels = sent.get("labels", sent.get("Labels"))
    if isinstance(labels, list):
        labels.append({"name": "row", "value": str(number)})
    elif labels:
        labels["row"] = str(number)
    return sent


def near(found: str, wanted: str) -> bool:
    """Whether a time is the wanted one; `now` and times long ago are good to half an hour."""
    moment = datetime.fromisoformat(found)
    expected = datetime.now(UTC) if wanted == "now" else datetime.fromisoformat(wanted)
    is_exact = wanted != "now" and (datetime.now(UTC) - expected).days < 300
    return abs((moment - expected).total_seconds()) < (0.0005 if is_exact else 1800)


@pytest.mark.parametrize("path", ["/api/v1/alerts", "/api/v2/alerts"])
@pytest.mark.parametrize("row", TABLE)
async def test_an_odd_alert_is_stored_and_answered(
    to_ingest: httpx.AsyncClient, row: str, path: str
) -> None:
    sent, stored, warnings = TABLE[row]
    body = numbered(sent, list(TABLE).index(row))
    answer = await to_ingest.post(path, json=body if "alerts" in sent else [body])
    assert answer.status_code == 200, answer.text
    taken = answer.json()
    assert (taken["accepted"] + taken["duplicates"], taken["errors"]) == (1, [])
    assert [warning["reason"] for warning in taken["warnings"]] == warnings
    one = (await to_ingest.get(f"/api/v1/alerts/{taken['alertIds'][0]}")).json()["alert"]
    for name in ("labels", "annotations"):
        pairs = {each["name"]: each["value"] for each in one[name] if each["name"] != "row"}
        assert pairs == stored.get(name, pairs)
    for name in ("startTime", "endTime"):
        assert name not in stored or near(one[name], stored[name]), one[name]
    for name in ("state", "severity", "generatorUrl"):
        assert one[name] == stored.get(name, one[name])


async def test_one_bad_alert_costs_no_other(to_ingest: httpx.AsyncClient) -> None:
    good = [alert(labels={"alertname": "Beside", "n": str(n)}) for n in range(3)]
    sent = [good[0], None, good[1], {"labels": {}}, "text", {"labels": {"": ""}}, good[2]]
    answer = await to_ingest.post("/api/v1/alerts", json=sent)
    assert answer.status_code == 200
    taken = answer.json()
    assert taken["accepted"] == 3
    assert [(each["index"], each["reason"]) for each in taken["errors"]] == [
        (1, "NOT_AN_ALERT"),
        (3, "INVALID_LABELS"),
        (4, "NOT_AN_ALERT"),
        (5, "INVALID_LABELS"),
    ]
    refused = (await to_ingest.get("/health")).json()["refused"]["alerts"]
    assert refused["byReason"]["NOT_AN_ALERT"] >= 2
    assert refused["lastAt"]


async def test_thousands_of_alerts_in_one_body_are_all_taken(to_ingest: httpx.AsyncClient) -> None:
    sent = [alert(labels={"alertname": "Many", "n": str(n % 2500)}) for n in range(3000)]
    taken = (await to_ingest.post("/api/v2/alerts", json=sent)).json()
    assert (taken["accepted"], taken["duplicates"], taken["errors"]) == (2500, 500, [])


async def test_an_alert_without_start_ends_and_begins_again(to_ingest: httpx.AsyncClient) -> None:
    labels = {"alertname": "Again"}

    async def post(**fields: Any) -> Any:
        body = [{"labels": labels} | fields]
        return (await to_ingest.post("/api/v2/alerts", json=body)).json()

    zero = {"startsAt": "0001-01-01T00:00:00Z"}
    nothing = await post(status="resolved", **zero)
    assert (nothing["accepted"], nothing["alertIds"]) == (0, [""])
    (first,) = (await post())["alertIds"]
    assert (await post())["alertIds"] == [first]
    assert (await post(endsAt=at(3600), **zero))["alertIds"] == [first]
    over = await post(status="resolved", **zero)
    assert (over["accepted"], over["alertIds"]) == (1, [first])
    found = (await to_ingest.get(f"/api/v1/alerts/{first}")).json()["alert"]
    assert (found["state"], found["endReason"]) == (RESOLVED, "END_REASON_COVERED")
    assert (await post())["alertIds"] != [first]


async def test_a_quoted_name_selects(to_ingest: httpx.AsyncClient) -> None:
    await to_ingest.post("/api/v1/alerts", json=[alert(labels={"service.name": "Quoted"})])
    params = {"selector": '{"service.name"="Quoted"}'}
    listed = (await to_ingest.get("/api/v1/alerts", params=params)).json()["alerts"]
    assert len(listed) == 1


async def test_a_series_may_have_names_of_any_form(to_ingest: httpx.AsyncClient) -> None:
    sample = {"metric_name": "http.requests", "metric_value": 1, "labels": {"host.name": "a"}}
    assert (await to_ingest.post("/api/v1/metrics", json=sample)).json()["accepted"] == 1
    params = {"selector": '{"http.requests","host.name"="a"}'}
    listed = (await to_ingest.get("/api/v1/series", params=params)).json()["series"]
    assert len(listed) == 1
