"""What users of other HTTP APIs expect: short names, one style, one kind of page, a way on."""

from collections.abc import AsyncIterator
from datetime import datetime

import httpx
import pytest

from sensus.core.v1 import alert_pb2
from sensus.detector.v1 import detector_service_pb2 as detector
from sensus.ingest.v1 import ingest_service_pb2 as ingest
from tests.gateway.conftest import Running, fields_of, reason_of
from tests.gateway.scripted import Script

SAMPLES = {"selector": "up", "startTime": "2026-11-20T10:00:00Z"}


@pytest.mark.parametrize("text", ["firing", "FIRING", "Firing", "ALERT_STATE_FIRING", "1"])
async def test_an_enum_may_be_named_without_its_prefix(
    client: httpx.AsyncClient, script: Script, text: str
) -> None:
    assert (await client.get("/api/v1/alerts", params={"state": text})).status_code == 200
    assert script.last("ListAlerts").request.state == alert_pb2.ALERT_STATE_FIRING


@pytest.mark.parametrize("text", ["burning", "", "99", "ALERT_STATE_BURNING", "-1", "1.5"])
async def test_an_unknown_enum_is_told_what_is_allowed(
    client: httpx.AsyncClient, text: str
) -> None:
    response = await client.get("/api/v1/alerts", params={"state": text})
    assert (response.status_code, fields_of(response)) == (400, ["state"])
    assert "must be one of firing, resolved" in response.json()["error"]["message"]


async def test_enums_of_a_body_may_be_short_at_any_depth(
    admin: httpx.AsyncClient, script: Script
) -> None:
    rule = {"name": "cpu", "selector": "cpu", "comparison": "above", "critical": 90}
    response = await admin.post("/api/v1/rules", json={"rule": rule})
    assert response.status_code == 200, response.text
    request = script.last("CreateRule").request
    assert request.rule.comparison == detector.RULE_COMPARISON_ABOVE
    bad = await admin.post("/api/v1/rules", json={"rule": rule | {"comparison": "beside"}})
    assert fields_of(bad) == ["rule.comparison"]
    assert "above, below" in bad.json()["error"]["message"]


async def test_stored_samples_are_one_document_unless_a_stream_is_asked_for(
    client: httpx.AsyncClient, script: Script
) -> None:
    async def samples(
        request: ingest.QuerySamplesRequest,
    ) -> AsyncIterator[ingest.QuerySamplesResponse]:
        for value in (1.0, 2.0):
            yield ingest.QuerySamplesResponse(
                series=[ingest.SeriesSamples(timestamps_ms=[1], values=[value])]
            )

    script.answers["QuerySamples"] = samples
    for accept, media_type in (
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("text/event-stream", "text/event-stream"),
        ("application/x-ndjson", "application/x-ndjson"),
    ):
        response = await client.get("/api/v1/samples", params=SAMPLES, headers={"Accept": accept})
        assert response.headers["content-type"].startswith(media_type), accept
    document = (await client.get("/api/v1/samples", params=SAMPLES)).json()
    assert [series["values"] for series in document["series"]] == [[1.0], [2.0]]
    script.answers["QuerySamples"] = None
    assert (await client.get("/api/v1/samples", params=SAMPLES)).json() == {"series": []}


async def test_samples_that_no_document_can_hold_are_refused_with_the_way_out(
    client: httpx.AsyncClient, script: Script
) -> None:
    many = ingest.SeriesSamples(values=[1.0] * 500_000)

    async def samples(
        request: ingest.QuerySamplesRequest,
    ) -> AsyncIterator[ingest.QuerySamplesResponse]:
        for _ in range(10):
            yield ingest.QuerySamplesResponse(series=[many])

    script.answers["QuerySamples"] = samples
    response = await client.get("/api/v1/samples", params=SAMPLES)
    assert (response.status_code, reason_of(response)) == (400, "ANSWER_TOO_LARGE")
    assert "application/x-ndjson" in response.json()["error"]["message"]


async def test_the_root_leads_people_to_the_page_and_programs_on(running: Running) -> None:
    browser = await running.http.get("/", headers={"Accept": "text/html,*/*"})
    assert browser.headers["Content-Type"].startswith("text/html")
    index = (await running.http.get("/")).json()
    assert index["name"] == "Sensus"
    for path in (index["docs"], index["openapi"], index["health"]):
        assert (await running.http.get(path)).status_code == 200


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("/api/v1/alert", "/api/v1/alerts"),
        ("/api/v1/anomaly", "/api/v1/anomalies"),
        ("/api/v1/alerts/", "/api/v1/alerts"),
        ("/write", "/api/v1/write"),
        ("/api/v1/push", "/api/v1/write"),
        ("/webhook", "/api/v1/alerts"),
        ("/nothing/like/it", "/openapi.json"),
        ("/" + "x" * 3000, "/openapi.json"),
    ],
)
async def test_an_unknown_path_is_told_what_is_near(running: Running, path: str, near: str) -> None:
    response = await running.http.get(path)
    assert response.status_code == 404
    assert near in response.json()["error"]["message"]
    assert len(response.content) < 1500


async def test_a_verb_of_a_resource_has_its_own_methods(client: httpx.AsyncClient) -> None:
    response = await client.get("/api/v1/models/3:activate")
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")


async def test_times_are_rfc_3339(running: Running) -> None:
    me = await running.http.get("/api/v1/auth/me", headers=running.headers())
    assert datetime.fromisoformat(me.json()["expiresAt"]).tzinfo is not None


async def test_answers_name_their_fields_in_camel_case(
    running: Running, admin: httpx.AsyncClient
) -> None:
    answers = [
        await admin.get(path)
        for path in ("/api/v1/auth/me", "/api/v1/users", "/api/v1/api-keys", "/health")
    ]
    for answer in answers:
        # keys in capitals are reasons: `/health` counts what this process has refused by them
        fields = [name for name in names(answer.json()) if not name.isupper()]
        assert not [name for name in fields if "_" in name and "not_" not in name]


def names(content: object) -> list[str]:
    """All field names in it."""
    if isinstance(content, dict):
        return [*content, *(name for value in content.values() for name in names(value))]
    if isinstance(content, list):
        return [name for value in content for name in names(value)]
    return []


async def test_fields_may_be_sent_in_either_case_but_not_in_both(
    admin: httpx.AsyncClient,
) -> None:
    rest = {"password": "x", "role": "viewer"}
    for body in ({"user_name": "Bad Name"}, {"userName": "Bad Name"}):
        response = await admin.post("/api/v1/users", json=body | rest)
        assert (response.status_code, fields_of(response)) == (400, ["user_name"])
    both = {"user_name": "a", "userName": "a"} | rest
    response = await admin.post("/api/v1/users", json=both)
    assert (response.status_code, fields_of(response)) == (400, ["userName"])


@pytest.mark.parametrize(
    ("size", "token"), [("pageSize", "pageToken"), ("page_size", "page_token")]
)
async def test_hand_written_lists_have_the_pages_of_the_contract(
    admin: httpx.AsyncClient, size: str, token: str
) -> None:
    whole = [user["userName"] for user in (await admin.get("/api/v1/users")).json()["users"]]
    seen, more = [], ""
    while True:
        page = (await admin.get("/api/v1/users", params={size: 1, token: more})).json()
        seen += [user["userName"] for user in page["users"]]
        more = page["nextPageToken"]
        if not more:
            break
    assert seen == whole
    bad = await admin.get("/api/v1/users", params={token: "nobody"})
    assert (bad.status_code, fields_of(bad)) == (400, ["pageToken"])
