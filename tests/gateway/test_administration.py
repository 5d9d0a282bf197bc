"""Users, API keys and the audit log."""

import asyncio

import httpx
import pytest

from sensus.ingest.v1 import ingest_service_pb2 as ingest
from tests.gateway.conftest import ADMIN_PASSWORD, Running, fields_of, reason_of
from tests.gateway.scripted import Script

NEW = {"user_name": "eva", "password": "correct horse battery", "role": "viewer"}
KEY = {"name": "a sender", "scopes": ["write:alerts"]}


@pytest.fixture
def running(fresh: Running) -> Running:
    """A gateway of its own for each test."""
    return fresh


async def test_a_user_is_made_changed_and_listed(
    running: Running, admin: httpx.AsyncClient
) -> None:
    created = await admin.post("/api/v1/users", json=NEW)
    assert created.status_code == 201
    assert created.json().items() >= {"userName": "eva", "role": "viewer"}.items()
    assert "password" not in created.text
    changed = await admin.patch("/api/v1/users/eva", json={"role": "operator"})
    assert changed.json()["role"] == "operator"
    listed = (await admin.get("/api/v1/users")).json()["users"]
    assert [user["userName"] for user in listed] == ["admin", "eva", "operator", "viewer"]
    auth = (NEW["user_name"], NEW["password"])
    assert (await running.http.post("/api/v1/auth/token", auth=auth)).status_code == 200
    new = {"password": "another good password"}
    assert (await admin.patch("/api/v1/users/eva", json=new)).status_code == 200
    assert (await running.http.post("/api/v1/auth/token", auth=auth)).status_code == 401


async def test_a_new_password_ends_refresh_tokens(
    running: Running, admin: httpx.AsyncClient
) -> None:
    tokens = await running.http.post("/api/v1/auth/token", auth=("viewer", ADMIN_PASSWORD))
    await admin.patch("/api/v1/users/viewer", json={"password": "another good password"})
    body = {"refresh_token": tokens.json()["refresh_token"]}
    assert (await running.http.post("/api/v1/auth/refresh", json=body)).status_code == 401


@pytest.mark.parametrize(
    ("body", "status", "reason", "field"),
    [
        (NEW | {"user_name": "admin"}, 409, "USER_EXISTS", None),
        (NEW | {"user_name": "Eva"}, 400, "INVALID_INPUT", "user_name"),
        (NEW | {"user_name": "a\0b"}, 400, "INVALID_INPUT", "user_name"),
        (NEW | {"role": "root"}, 400, "INVALID_INPUT", "role"),
        (NEW | {"password": "short"}, 400, "PASSWORD_UNFIT", "password"),
        (NEW | {"extra": 1}, 400, "INVALID_FIELD", "extra"),
        ({"user_name": "eva"}, 400, "INVALID_FIELD", "password"),
    ],
)
async def test_unfit_users_are_refused(
    admin: httpx.AsyncClient, body: dict[str, str], status: int, reason: str, field: str | None
) -> None:
    response = await admin.post("/api/v1/users", json=body)
    assert (response.status_code, reason_of(response)) == (status, reason)
    assert fields_of(response) == ([field] if field else [])


async def test_an_unknown_field_is_named_beside_those_that_there_are(
    admin: httpx.AsyncClient,
) -> None:
    sent = {"password": "correct horse battery", "newPassword": "another good password"}
    response = await admin.post("/api/v1/auth/password", json=sent)
    assert (response.status_code, reason_of(response)) == (400, "INVALID_FIELD")
    message = response.json()["error"]["message"]
    assert message == "password: is no field here: send oldPassword, newPassword"


async def test_the_last_admin_stays(running: Running, admin: httpx.AsyncClient) -> None:
    for change in ({"role": "viewer"}, {"disabled": True}):
        response = await admin.patch("/api/v1/users/admin", json=change)
        assert (response.status_code, reason_of(response)) == (400, "LAST_ADMIN")
    await running.make_user("second", "admin")
    assert (await admin.patch("/api/v1/users/admin", json={"disabled": True})).status_code == 200


async def test_unknown_users_and_empty_changes(admin: httpx.AsyncClient) -> None:
    response = await admin.patch("/api/v1/users/ghost", json={"role": "viewer"})
    assert (response.status_code, reason_of(response)) == (404, "USER_NOT_FOUND")
    response = await admin.patch("/api/v1/users/gho%00st", json={"role": "viewer"})
    assert (response.status_code, reason_of(response)) == (404, "USER_NOT_FOUND")
    assert (await admin.patch("/api/v1/users/viewer", json={})).status_code == 400


async def test_an_api_key_sends_until_it_is_revoked(
    running: Running, admin: httpx.AsyncClient, script: Script
) -> None:
    script.answers["WriteAlerts"] = ingest.WriteAlertsResponse(accepted=1, alert_ids=["x"])
    body = {"name": "alertmanager", "scopes": ["write:alerts"]}
    created = await admin.post("/api/v1/api-keys", json=body)
    assert created.status_code == 201
    key, key_id = created.json()["key"], created.json()["keyId"]
    assert key.startswith(f"sk_{key_id}_")
    alert = [{"labels": {"alertname": "A"}, "startsAt": "2026-11-20T10:00:00Z"}]
    for headers in ({"Authorization": f"Bearer {key}"}, {"X-API-Key": key}):
        sent = await running.http.post("/api/v1/alerts", json=alert, headers=headers)
        assert sent.status_code == 200
    assert script.last("WriteAlerts").principal.subject == f"key:{key_id}"
    assert script.last("WriteAlerts").principal.scopes == {"write:alerts"}
    denied = await running.http.get("/api/v1/alerts", headers={"X-API-Key": key})
    assert (denied.status_code, reason_of(denied)) == (403, "SCOPE_MISSING")
    listed = (await admin.get("/api/v1/api-keys")).json()["apiKeys"]
    assert [each["keyId"] for each in listed] == [key_id]
    assert "key" not in listed[0]
    assert (await admin.delete(f"/api/v1/api-keys/{key_id}")).status_code == 204
    assert (await admin.delete(f"/api/v1/api-keys/{key_id}")).status_code == 404
    listed = (await admin.get("/api/v1/api-keys")).json()["apiKeys"]
    assert listed[0]["revokedAt"] is not None


async def test_a_key_ends_with_its_revocation_and_with_its_owner(
    running: Running, admin: httpx.AsyncClient
) -> None:
    body = {"name": "a", "scopes": ["read:alerts"]}
    made = [(await admin.post("/api/v1/api-keys", json=body)).json() for _ in range(2)]
    await admin.delete(f"/api/v1/api-keys/{made[0]['keyId']}")
    await running.make_user("second", "admin")
    await running.gateway.stores.accounts.update("test", "admin", disabled=True)
    await running.gateway.keeper.notice()
    for key, reason in zip(made, ("KEY_REVOKED", "ACCOUNT_DISABLED"), strict=True):
        response = await running.http.get("/api/v1/alerts", headers={"X-API-Key": key["key"]})
        assert (response.status_code, reason_of(response)) == (401, reason)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "a", "scopes": []}, "scopes"),
        ({"name": "a", "scopes": ["admin"]}, "scopes[0]"),
        ({"name": "a", "scopes": ["read:alerts", "x"]}, "scopes[1]"),
        ({"name": "", "scopes": ["read:alerts"]}, "name"),
        ({"name": "a\0", "scopes": ["read:alerts"]}, "name"),
        ({"name": "a", "scopes": ["read:alerts"], "requests_per_minute": 0}, "requestsPerMinute"),
    ],
)
async def test_unfit_keys_are_refused(
    admin: httpx.AsyncClient, body: dict[str, object], field: str
) -> None:
    response = await admin.post("/api/v1/api-keys", json=body)
    assert (response.status_code, fields_of(response)) == (400, [field])
    assert (await admin.delete("/api/v1/api-keys/x%00")).status_code == 404


async def test_every_change_is_in_the_chained_log(
    admin: httpx.AsyncClient, running: Running
) -> None:
    await admin.post("/api/v1/users", json=NEW)
    await admin.patch("/api/v1/users/eva", json={"role": "operator", "disabled": True})
    key = (
        await admin.post("/api/v1/api-keys", json={"name": "a", "scopes": ["read:alerts"]})
    ).json()
    await admin.delete(f"/api/v1/api-keys/{key['keyId']}")
    await admin.post("/api/v1/users", json=NEW)
    entries = (await admin.get("/api/v1/audit", params={"pageSize": 4})).json()["entries"]
    assert [(e["actor"], e["action"], e["subject"]) for e in reversed(entries)] == [
        ("user:admin", "user.create", "eva"),
        ("user:admin", "user.update", "eva"),
        ("user:admin", "api_key.create", key["keyId"]),
        ("user:admin", "api_key.revoke", key["keyId"]),
    ]
    assert entries[2]["detail"] == {
        "outcome": "done",
        "before": {"role": "viewer", "disabled": "false"},
        "after": {"role": "operator", "disabled": "true"},
    }
    assert entries[0]["prevHash"] == entries[1]["rowHash"]
    verdict = (await admin.get("/api/v1/audit:verify")).json()
    assert verdict == {"intact": True, "firstBrokenEntryId": None, "faults": []}
    older = {"pageToken": entries[-1]["entryId"], "pageSize": 1}
    assert len((await admin.get("/api/v1/audit", params=older)).json()["entries"]) == 1


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE gateway.audit SET actor = 'nobody' WHERE entry_id = 2",
        "UPDATE gateway.audit SET detail = '{}' WHERE entry_id = 2",
        "DELETE FROM gateway.audit WHERE entry_id = 2",
    ],
)
async def test_tampering_shows(running: Running, admin: httpx.AsyncClient, tampering: str) -> None:
    pool = running.gateway.dependencies.pool
    with pytest.raises(Exception, match="append-only"):
        await pool.execute(tampering)
    await pool.execute("ALTER TABLE gateway.audit DISABLE TRIGGER audit_is_append_only")
    await pool.execute(tampering)
    verdict = (await admin.get("/api/v1/audit:verify")).json()
    assert verdict["intact"] is False
    assert verdict["firstBrokenEntryId"] in (2, 3)


async def test_changes_at_the_same_time_chain_up(
    running: Running, admin: httpx.AsyncClient
) -> None:
    users = [NEW | {"user_name": f"user-{n}"} for n in range(20)]
    answers = await asyncio.gather(*(admin.post("/api/v1/users", json=user) for user in users))
    assert {answer.status_code for answer in answers} == {201}
    assert await running.gateway.stores.audit.first_broken() is None
    assert (await running.gateway.stores.audit.newest(2**62, 1))[0].entry_id == 23


@pytest.mark.parametrize(
    "query", ["pageSize=-1", "pageSize=x", "pageSize=1001", "pageToken=-1", "a=1"]
)
async def test_bad_audit_queries_are_400(admin: httpx.AsyncClient, query: str) -> None:
    assert (await admin.get(f"/api/v1/audit?{query}")).status_code == 400


async def test_a_name_without_an_account_owns_nothing(running: Running) -> None:
    async with running.client("nobody") as nobody:
        refused = await nobody.post("/api/v1/api-keys", json=KEY)
        assert (refused.status_code, reason_of(refused)) == (400, "NO_ACCOUNT")
        assert (await nobody.get("/api/v1/api-keys")).json()["apiKeys"] == []
        change = {"oldPassword": ADMIN_PASSWORD, "newPassword": "another good password"}
        refused = await nobody.post("/api/v1/auth/password", json=change)
        assert (refused.status_code, reason_of(refused)) == (400, "NO_ACCOUNT")
        assert (await nobody.get("/api/v1/auth/me")).status_code == 200
        assert (await nobody.post("/api/v1/auth/logout")).status_code == 204


@pytest.mark.parametrize("name", ["", "a\0b", "a b", "x" * 5000, "\u00dcnal"])
async def test_a_token_for_a_name_that_nobody_can_have_is_refused(
    running: Running, name: str
) -> None:
    async with running.client(name) as nobody:
        for method, path, body in (
            ("POST", "/api/v1/api-keys", KEY),
            ("POST", "/api/v1/users", NEW),
            ("POST", "/api/v1/auth/logout", None),
            ("GET", "/api/v1/auth/me", None),
        ):
            answer = await nobody.request(method, path, json=body)
            assert answer.status_code == 401, (method, path, answer.text)
