"""Who may call what: every endpoint for every role, and for nobody."""

import httpx
import pytest
from google.api import annotations_pb2

from mesh.auth import PUBLIC
from services.gateway.auth.roles import SCOPES_BY_ROLE
from services.gateway.clients import CONTRACT
from services.gateway.http.endpoint import Endpoint
from tests.gateway.conftest import Running, reason_of
from tests.gateway.scripted import Script

_OPEN = {
    "/api/v1/auth/token",
    "/api/v1/auth/refresh",
    "/health",
    "/livez",
    "/readyz",
    "/metrics",
    "/docs",
    "/openapi.json",
}


def url_of(endpoint: Endpoint) -> str:
    """A path of the endpoint."""
    return endpoint.path.replace("{", "").replace("}", "")


async def test_only_these_paths_are_open(running: Running) -> None:
    endpoints = running.gateway.endpoints
    assert {e.path for e in endpoints if e.policy == PUBLIC} == _OPEN


async def test_everything_else_is_401_without_a_token(running: Running) -> None:
    for endpoint in running.gateway.endpoints:
        if endpoint.policy != PUBLIC:
            response = await running.http.request(endpoint.method, url_of(endpoint))
            shown = (endpoint.method, endpoint.path)
            assert (response.status_code, reason_of(response)) == (401, "TOKEN_MISSING"), shown


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
async def test_a_role_may_call_what_its_scopes_say(
    running: Running, script: Script, role: str
) -> None:
    scopes = SCOPES_BY_ROLE[role]
    headers = running.headers(role)
    for endpoint in running.gateway.endpoints:
        if endpoint.policy == PUBLIC:
            continue
        response = await running.http.request(endpoint.method, url_of(endpoint), headers=headers)
        may = "admin" in scopes or bool(scopes & endpoint.policy.any_of)
        shown = (endpoint.method, endpoint.path, response.text)
        assert (response.status_code == 403) is not may, shown
        assert response.status_code not in (401, 500), shown
        if not may:
            assert reason_of(response) == "SCOPE_MISSING", shown


async def test_roles_contain_each_other() -> None:
    assert SCOPES_BY_ROLE["viewer"] < SCOPES_BY_ROLE["operator"]
    assert SCOPES_BY_ROLE["admin"] == {"admin"}


async def test_every_http_rule_of_the_contract_is_served(running: Running) -> None:
    served = {(e.method, e.shown_path or e.path) for e in running.gateway.endpoints}
    rules = 0
    for file in CONTRACT.values():
        for service in file.services_by_name.values():
            for method in service.methods:
                if not method.GetOptions().HasExtension(annotations_pb2.http):
                    assert method.client_streaming, f"{method.full_name} has no http rule"
                    continue
                rule = method.GetOptions().Extensions[annotations_pb2.http]
                verb = rule.WhichOneof("pattern")
                assert (verb.upper(), getattr(rule, verb)) in served
                rules += 1
    assert rules >= 15


async def test_the_service_checks_again(running: Running, script: Script) -> None:
    """The internal token carries the caller's scopes, so a hole in the gateway opens nothing."""
    await running.http.get("/api/v1/alerts", headers=running.headers("viewer"))
    principal = script.last("ListAlerts").principal
    assert principal.subject == "user:viewer"
    assert principal.scopes == SCOPES_BY_ROLE["viewer"]
    assert principal.issuer == "gateway"


async def test_an_unknown_path_is_404_and_a_wrong_method_405(running: Running) -> None:
    response = await running.http.get("/api/v1/nothing")
    assert (response.status_code, response.json()["error"]["status"]) == (404, "NOT_FOUND")
    response = await running.http.delete("/api/v1/alerts")
    assert (response.status_code, response.headers["Allow"]) == (405, "GET, POST")
    assert reason_of(response) == "METHOD_NOT_ALLOWED"
    async with httpx.AsyncClient(base_url=running.url) as http:
        assert (await http.head("/livez")).status_code == 200
        assert (await http.head("/api/v1/anomalies:watch")).status_code == 405
