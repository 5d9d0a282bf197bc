"""Who may call what: every endpoint for every role, and for nobody."""

from collections.abc import Callable

import grpc
import httpx
import pytest
from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor

from mesh.auth import PUBLIC, policies
from mesh.clients import open_channel
from services.gateway.auth.roles import SCOPES_BY_ROLE
from services.gateway.clients import CONTRACT
from services.gateway.http.endpoint import Endpoint
from services.gateway.routes.console import ASSETS, PAGES
from tests.gateway.conftest import Running, reason_of
from tests.gateway.scripted import Script

_OPEN = {
    "/",
    "/api/v1/auth/token",
    "/api/v1/auth/refresh",
    "/health",
    "/livez",
    "/readyz",
    "/metrics",
    "/docs",
    "/openapi.json",
    "/api/v1/auth/session",
    "/api/v1/auth/session:refresh",
    ASSETS,
    *PAGES,
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
    for endpoint in running.gateway.endpoints:
        if endpoint.policy == PUBLIC:
            continue
        headers = running.headers(role)  # a new one each, since one of the endpoints ends it
        request = running.http.build_request(endpoint.method, url_of(endpoint), headers=headers)
        response = await running.http.send(request, stream=True)
        if response.status_code != 200:  # what follows for ever is not read
            await response.aread()
        await response.aclose()
        may = "admin" in scopes or bool(scopes & endpoint.policy.any_of)
        shown = (endpoint.method, endpoint.path, response.status_code)
        assert (response.status_code == 403) is not may, shown
        assert response.status_code not in (401, 500), shown
        if not may:
            assert reason_of(response) == "SCOPE_MISSING", shown


@pytest.mark.parametrize("role", ["nobody", "viewer", "operator", "admin"])
async def test_a_role_may_call_the_same_by_grpc_as_by_rest(
    running: Running, services: tuple[Script, dict[str, str]], role: str
) -> None:
    """Every rpc of the contract, the streams of requests included, straight at its service."""
    scopes = SCOPES_BY_ROLE.get(role, frozenset())
    policies_by_route = {
        (e.method, e.shown_path or e.path): e.policy for e in running.gateway.endpoints
    }
    for service, file in CONTRACT.items():
        tokens = None if role == "nobody" else (lambda: running.token(role))
        for method in next(iter(file.services_by_name.values())).methods:
            policy = policies([file])[f"/{method.containing_service.full_name}/{method.name}"]
            code = await code_of(services[1][service], method, tokens)
            shown = (role, method.full_name)
            if role == "nobody":
                assert code is grpc.StatusCode.UNAUTHENTICATED, shown
            else:
                may = "admin" in scopes or bool(scopes & policy.any_of)
                assert code is (None if may else grpc.StatusCode.PERMISSION_DENIED), shown
            for route in routes_of(method):
                assert policies_by_route[route] == policy, shown


def routes_of(method: MethodDescriptor) -> list[tuple[str, str]]:
    """Verbs and paths of a method."""
    if not method.GetOptions().HasExtension(annotations_pb2.http):
        return []
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    verb = rule.WhichOneof("pattern")
    return [(verb.upper(), getattr(rule, verb))]


async def code_of(
    target: str, method: MethodDescriptor, tokens: Callable[[], str] | None
) -> grpc.StatusCode | None:
    """How a call with an empty request ends; None when it is let in."""
    service = method.containing_service.full_name
    async with open_channel(target, service=service, tokens=tokens, caller="test") as channel:
        kind = ("stream" if method.client_streaming else "unary") + (
            "_stream" if method.server_streaming else "_unary"
        )
        call = getattr(channel, kind)(f"/{service}/{method.name}")
        try:
            if kind == "unary_unary":
                await call(b"")
            elif kind == "unary_stream":
                await call(b"").read()
            else:
                await call(iter([b""])).read()
        except grpc.aio.AioRpcError as error:
            return error.code()
    return None


FOREIGN_BODIES = {"RemoteWrite"}
"""Served over HTTP in the wire format of their senders, which no http rule describes."""


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
                    by_hand = method.client_streaming or method.name in FOREIGN_BODIES
                    assert by_hand, f"{method.full_name} has no http rule"
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
    assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD, POST")
    assert reason_of(response) == "METHOD_NOT_ALLOWED"
    async with httpx.AsyncClient(base_url=running.url, timeout=60) as http:
        assert (await http.head("/livez")).status_code == 200
        assert (await http.head("/api/v1/anomalies:watch")).status_code == 405
