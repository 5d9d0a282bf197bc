"""Whatever a sender writes: no error of ours, and what is good beside it goes in."""

import itertools
import json
from typing import Any

import httpx
from hypothesis import example, given
from hypothesis import strategies as st

from tests.properties import examples

_numbers = itertools.count()

TEXTS = st.text(max_size=30) | st.sampled_from(
    ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "NaN", "firing", "\0", "\ud800"]
)
NUMBERS = (
    st.integers(-(10**30), 10**30)
    | st.floats()
    | st.sampled_from([2**63, -(2**63) - 1, 1e308, 253402300799, 253402300800_000, 0])
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def objects(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with any of these members, and others."""
    members = st.fixed_dictionaries({}, optional=dict.fromkeys(names, VALUES))
    others = st.dictionaries(TEXTS, VALUES, max_size=1)
    return st.builds(lambda one, other: other | one, members, others)


ALERTS = objects(
    "labels", "annotations", "status", "startsAt", "endsAt", "generatorURL", "values", "orgId"
)
LABELLED = st.builds(
    lambda alert, labels: alert | {"labels": labels},
    ALERTS,
    st.dictionaries(TEXTS, VALUES, min_size=1, max_size=4),
)
NOTICES = objects("version", "status", "alerts", "commonLabels", "groupLabels", "title", "orgId")
SAMPLES = objects("metric_name", "metric_value", "labels", "timestamp")
NAMED = st.builds(
    lambda sample, value, at: sample | {"metric_name": "x", "metric_value": value, "timestamp": at},
    objects("labels"),
    NUMBERS | TEXTS,
    NUMBERS | TEXTS | st.none(),
)
MANY = examples(150)


def body_of(content: Any) -> bytes:
    """JSON as Python writes it: with NaN and single surrogates."""
    return json.dumps(content).encode()


async def posted(client: httpx.AsyncClient, path: str, content: Any) -> httpx.Response:
    """The answer, which is never an error of ours."""
    headers = {"Content-Type": "application/json"}
    response = await client.post(path, content=body_of(content), headers=headers)
    assert response.status_code in (200, 400), (response.status_code, response.text)
    return response


@MANY
@given(st.lists(ALERTS | LABELLED | VALUES, max_size=4))
@example([{"labels": {"a": "b"}, "endsAt": "9999-12-31T23:59:59-01:00", "status": "resolved"}])
async def test_no_alert_costs_a_good_one(to_ingest: httpx.AsyncClient, odd: list[Any]) -> None:
    labels = {"alertname": "good", "n": str(next(_numbers))}
    good = {"labels": labels, "startsAt": "2026-11-28T04:40:00Z", "status": "firing"}
    response = await posted(to_ingest, "/api/v1/alerts", [*odd, good])
    assert response.status_code == 200, response.text
    taken = response.json()
    assert taken["accepted"] + taken["duplicates"] + len(taken["errors"]) == len(odd) + 1
    assert taken["alertIds"][-1]
    one = await to_ingest.get(f"/api/v1/alerts/{taken['alertIds'][-1]}")
    assert one.json()["alert"]["state"] == "ALERT_STATE_FIRING"


@MANY
@given(NOTICES | VALUES, st.lists(LABELLED, max_size=2))
async def test_no_notice_is_an_error_of_ours(
    to_ingest: httpx.AsyncClient, notice: Any, alerts: list[Any]
) -> None:
    await posted(to_ingest, "/api/v2/alerts", notice)
    if isinstance(notice, dict) and alerts:
        response = await posted(to_ingest, "/api/v2/alerts", notice | {"alerts": alerts})
        refused = response.json().get("errors", alerts)
        assert all(each["reason"] == "INVALID_LABELS" for each in refused if "reason" in each)


@MANY
@given(st.lists(SAMPLES | NAMED | VALUES, max_size=4))
async def test_no_sample_costs_a_good_one(to_ingest: httpx.AsyncClient, odd: list[Any]) -> None:
    good = {"metric_name": "good", "metric_value": 1, "labels": {"n": str(next(_numbers))}}
    response = await posted(to_ingest, "/api/v1/metrics", [*odd, good])
    if response.status_code == 200:
        taken = response.json()
        assert taken["accepted"] + taken["duplicates"] + len(taken["errors"]) == len(odd) + 1
        assert taken["accepted"] >= 1
    else:
        reason = response.json()["error"]["details"][0]["reason"]
        assert reason == "JSON_BROKEN", response.text


CONTRACT_ALERTS = objects("labels", "annotations", "state", "startTime", "endTime", "generatorUrl")


@MANY
@given(st.lists(CONTRACT_ALERTS | VALUES, max_size=3), objects("batch", "series", "producerId"))
@example([{"startTime": "9999-12-31T23:59:59-01:00", "labels": [{"name": "a", "value": "b"}]}], {})
async def test_no_message_of_the_contract_is_an_error_of_ours(
    to_ingest: httpx.AsyncClient, alerts: list[Any], batch: dict[str, Any]
) -> None:
    await posted(to_ingest, "/api/v1/alerts:write", {"alerts": alerts})
    await posted(to_ingest, "/api/v1/samples:write", batch)
