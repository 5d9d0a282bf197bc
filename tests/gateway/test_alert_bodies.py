"""Bodies with alerts: broken, compressed, in any charset, and nearly JSON."""

import gzip
import json
import zlib
from typing import Any

import httpx
import pytest

from tests.gateway.conftest import reason_of
from tests.gateway.scripted import Script
from tests.gateway.webhooks import taking


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "JSON_BROKEN"),
        (b'{"version": "4", "alerts": [', "JSON_BROKEN"),
        (b"[\xff]", "JSON_BROKEN"),
        (b"[{},]", "JSON_BROKEN"),
        (b"[" * 100_000, "JSON_BROKEN"),
        (b'"text"', "ALERTS_MISSING"),
        (b"null", "ALERTS_MISSING"),
        (b"{}", "ALERTS_MISSING"),
        (b'{"version": "4", "Alarms": []}', "ALERTS_MISSING"),
        (b"[1]", "ALERTS_REFUSED"),
    ],
)
async def test_broken_bodies_are_400(client: httpx.AsyncClient, body: bytes, reason: str) -> None:
    response = await client.post(
        "/api/v1/alerts", content=body, headers={"Content-Type": "application/json"}
    )
    assert (response.status_code, reason_of(response)) == (400, reason)


@pytest.mark.parametrize(
    "body", [b"[]", b'{"version": "4", "alerts": []}', b'{"version": "4", "alerts": null}']
)
async def test_a_notice_without_alerts_is_200(
    client: httpx.AsyncClient, script: Script, body: bytes
) -> None:
    response = await client.post("/api/v1/alerts", content=body)
    assert response.status_code == 200
    assert response.json()["alertIds"] == []
    assert script.count("WriteAlerts") == 0


@pytest.mark.parametrize(
    ("encode", "headers"),
    [
        (gzip.compress, {"Content-Encoding": "gzip"}),
        (zlib.compress, {"Content-Encoding": "deflate"}),
        (lambda body: body, {"Content-Type": "text/plain"}),
        (lambda body: body, {"Content-Type": "application/x-www-form-urlencoded"}),
        (lambda body: b"\xef\xbb\xbf" + body, {}),
        (lambda body: body.decode().encode("utf-16"), {}),
        (
            lambda body: body.decode().encode("latin-1"),
            {"Content-Type": "application/json; charset=ISO-8859-1"},
        ),
    ],
)
async def test_alerts_are_read_in_any_dress(
    client: httpx.AsyncClient, script: Script, encode: Any, headers: dict[str, str]
) -> None:
    script.answers["WriteAlerts"] = taking
    body = json.dumps([{"labels": {"alertname": "Größe"}}], ensure_ascii=False).encode()
    response = await client.post("/api/v2/alerts", content=encode(body), headers=headers)
    assert response.status_code == 200, response.text
    (alert,) = script.last("WriteAlerts").request.alerts
    assert alert.labels[0].value == "Größe"


@pytest.mark.parametrize(
    ("headers", "body", "status", "reason"),
    [
        ({"Content-Encoding": "br"}, b"x", 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"Content-Encoding": "gzip"}, b"[]", 400, "BODY_BROKEN"),
        ({"Content-Encoding": "gzip"}, gzip.compress(b"[]" * 99)[:-9], 400, "BODY_BROKEN"),
        (
            {"Content-Encoding": "gzip"},
            gzip.compress(b" " * 30_000_000, 1),
            413,
            "BODY_TOO_LARGE",
        ),
    ],
    # gzip writes the time into its head: an id made of it differs between the workers
    ids=["unknown", "no gzip", "cut", "bomb"],
)
async def test_compressed_bodies_have_limits(
    client: httpx.AsyncClient, headers: dict[str, str], body: bytes, status: int, reason: str
) -> None:
    response = await client.post("/api/v1/alerts", content=body, headers=headers)
    assert (response.status_code, reason_of(response)) == (status, reason)


@pytest.mark.parametrize("item", [b"5", b"{}"])
async def test_more_items_than_a_body_of_alerts_can_have_are_refused_at_once(
    client: httpx.AsyncClient, script: Script, item: bytes
) -> None:
    body = b'{"alerts":[' + b",".join([item] * 50_001) + b"]}"
    response = await client.post("/api/v1/alerts", content=body)
    assert (response.status_code, reason_of(response)) == (400, "TOO_MANY_ALERTS")
    assert script.count("WriteAlerts") == 0


@pytest.mark.parametrize(
    "charset",
    ["utf-8", "bogus", "idna", "undefined", "punycode", "unicode_escape", "hex", "zlib", "\u00e9"],
)
async def test_a_charset_that_no_text_has_costs_no_alert(
    client: httpx.AsyncClient, script: Script, charset: str
) -> None:
    script.answers["WriteAlerts"] = taking
    body = json.dumps([{"labels": {"alertname": "Größe \\u"}}], ensure_ascii=False).encode()
    headers = {"Content-Type": f"application/json; charset={charset}".encode("latin-1")}
    response = await client.post("/api/v1/alerts", content=body, headers=headers)
    assert response.status_code == 200, response.text
    (alert,) = script.last("WriteAlerts").request.alerts
    assert alert.labels[0].value == "Größe \\u"


async def test_what_is_nearly_json_is_read(client: httpx.AsyncClient, script: Script) -> None:
    script.answers["WriteAlerts"] = taking
    body = (
        b'[{"labels": {"alertname": "tab\there", "x": "\\ud800"}, "annotations": {"v": NaN}},'
        b' {"labels": {"alertname": "byte \xff", "n": ' + b"9" * 5000 + b"}}]"
    )
    response = await client.post("/api/v1/alerts", content=body)
    assert response.json()["accepted"] == 2, response.text
    first, second = script.last("WriteAlerts").request.alerts
    assert first.labels[0].value == "tab\there"
    assert second.labels[0].value == "byte \ufffd"
