"""The document and its page: complete, closed in itself, and true."""

import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from services.gateway.clients import CONTRACT
from services.gateway.openapi import Comments
from services.gateway.routes.console import ASSETS, PAGES
from tests.gateway.conftest import REPOSITORY, Running


@pytest.fixture
async def document(running: Running) -> dict[str, Any]:
    """The document as it is served."""
    response = await running.http.get("/openapi.json")
    assert response.headers["content-type"] == "application/json"
    found: dict[str, Any] = response.json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, verb and operation of everything."""
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            yield path, verb, operation


def refs(node: object) -> Iterator[str]:
    """Every `$ref` below a node."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from refs(each)


async def test_every_endpoint_is_in_the_document(
    running: Running, document: dict[str, Any]
) -> None:
    described = {(verb.upper(), path) for path, verb, _ in operations(document)}
    served = {(e.method, e.shown_path or e.path) for e in running.gateway.endpoints}
    console = {("GET", path) for path in (*PAGES, ASSETS)}
    assert served - described == console | {("GET", p) for p in ("/docs", "/openapi.json")}
    assert described <= served


async def test_the_document_is_closed_in_itself(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    schemas = document["components"]["schemas"]
    for ref in refs(document):
        assert ref.removeprefix("#/components/schemas/") in schemas, ref
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))


async def test_every_operation_is_whole(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    for path, verb, operation in operations(document):
        assert operation["summary"], (path, verb)
        assert "default" in operation["responses"]
        named = [p["name"] for p in operation["parameters"] if p["in"] == "path"]
        assert sorted(named) == sorted(
            part[1:].split("}")[0] for part in path.split("/") if part.startswith("{")
        )
        assert all(scheme in schemes for need in operation["security"] for scheme in need)
        is_open = not operation["security"] or "basic" in operation["security"][0]
        assert is_open is ("x-sensus-any-of" not in operation), path
        assert ("requestBody" in operation) <= (verb in ("post", "put", "patch"))


async def test_schemas_are_json_schemas(document: dict[str, Any]) -> None:
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


async def test_an_answer_fits_its_schema(running: Running, document: dict[str, Any]) -> None:
    health = (await running.http.get("/health")).json()
    error = (await running.http.get("/api/v1/alerts")).json()
    alerts = await running.http.get("/api/v1/alerts", headers=running.headers())
    for name, answer in (
        ("HealthReport", health),
        ("Error", error),
        ("sensus.ingest.v1.ListAlertsResponse", alerts.json()),
    ):
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        jsonschema.validate(answer, schema)


async def test_streams_are_described_as_streams(document: dict[str, Any]) -> None:
    watch = document["paths"]["/api/v1/anomalies:watch"]["get"]
    assert set(watch["responses"]["200"]["content"]) == {
        "text/event-stream",
        "application/x-ndjson",
    }
    assert "Last-Event-ID" in [parameter["name"] for parameter in watch["parameters"]]


async def test_the_page_needs_nothing_from_elsewhere(running: Running) -> None:
    response = await running.http.get("/docs")
    assert response.headers["content-type"].startswith("text/html")
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    for path in ("/api/v1/alerts", "/api/v1/anomalies:watch", "/api/v1/auth/token"):
        assert path in response.text
    seen = _Links()
    seen.feed(response.text)
    assert seen.sources == []
    assert seen.scripts == 0
    assert all(link.startswith(("#", "/openapi.json")) for link in seen.links)
    assert {link[1:] for link in seen.links if link.startswith("#")} <= seen.ids


def test_comments_of_the_contract_are_read(tmp_path: Path) -> None:
    out = tmp_path / "contract.binpb"
    protos = sorted(str(p.relative_to(REPOSITORY / "protos")) for p in _protos())
    command = f"{sys.executable} -m grpc_tools.protoc -I protos -I .protos-deps"
    options = ["--include_source_info", f"--descriptor_set_out={out}"]
    subprocess.run([*command.split(), *options, *protos], cwd=REPOSITORY, check=True)
    comments = Comments(out.read_bytes())
    for file in CONTRACT.values():
        for service in file.services_by_name.values():
            for method in service.methods:
                assert comments.of(method.full_name), method.full_name
                for field in method.input_type.fields:
                    assert comments.of(field.full_name), field.full_name
    assert comments.of("sensus.core.v1.Severity.SEVERITY_INFO") == (
        "Good to know, nobody is called."
    )
    assert comments.of("sensus.nothing") == ""


def _protos() -> list[Path]:
    return list((REPOSITORY / "protos").rglob("*.proto"))


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.sources: list[str] = []
        self.ids: set[str] = set()
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.links += [given["href"] or ""] if "href" in given else []
        self.sources += [given["src"] or ""] if "src" in given else []
        self.ids |= {given["id"] or ""} if "id" in given else set()
        self.scripts += tag == "script"


async def test_what_is_sent_is_described_as_it_is_read(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    rule = schemas["sensus.detector.v1.UpdateRuleRequest.Input"]
    assert rule["required"] == ["rule"], "the id is in the path"
    assert rule["additionalProperties"] is False
    assert {"type": "null"} in rule["properties"]["updateMask"]["anyOf"]
    states = schemas["sensus.core.v1.AlertState.Input"]["enum"]
    assert {"firing", "ALERT_STATE_FIRING", 1} <= set(states)
    assert schemas["sensus.core.v1.AlertState"]["enum"][1] == "ALERT_STATE_FIRING"
    cancel = document["paths"]["/api/v1/explanations/{explanation_id}:cancel"]["post"]
    assert cancel["requestBody"]["required"] is False
    changes = document["paths"]["/api/v1/changes"]["post"]
    assert changes["requestBody"]["required"] is True
    assert changes["parameters"] == [], "what is in the body is not in the query"
    alerts = document["paths"]["/api/v1/alerts"]["get"]["parameters"]
    size = next(each for each in alerts if each["name"] == "pageSize")
    assert "1000" in str(size["schema"])


async def test_maps_are_objects(document: dict[str, Any]) -> None:
    maps = [
        schema
        for message in document["components"]["schemas"].values()
        for schema in message.get("properties", {}).values()
        if "additionalProperties" in schema
    ]
    assert maps
    assert not [
        name
        for name in document["components"]["schemas"]
        if name.startswith("sensus.") and name.endswith("Entry")
    ]
