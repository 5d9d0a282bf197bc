"""A session ends when it is logged out, and others end with a new password."""

import asyncio

import httpx
import pytest

from tests.gateway.conftest import ADMIN_PASSWORD, Running, reason_of
from tests.ingest.harness import until

ME = "/api/v1/auth/me"
NEW_PASSWORD = "another long password"
USE = """
    UPDATE gateway.refresh_token SET used_at = clock_timestamp(), next_salt = sha256('a salt')"""
WAITING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE wait_event_type = 'Lock' AND datname = current_database()"""


@pytest.fixture
def running(fresh: Running) -> Running:
    """A gateway of its own for each test."""
    return fresh


async def log_in(running: Running, password: str = ADMIN_PASSWORD) -> dict[str, str]:
    """Tokens of the viewer."""
    response = await running.http.post("/api/v1/auth/token", auth=("viewer", password))
    assert response.status_code == 200, response.text
    tokens: dict[str, str] = response.json()
    return tokens


async def refresh(running: Running, tokens: dict[str, str]) -> httpx.Response:
    """Trades the refresh token."""
    body = {"refresh_token": tokens["refresh_token"]}
    return await running.http.post("/api/v1/auth/refresh", json=body)


def bearer(tokens: dict[str, str]) -> dict[str, str]:
    """Authorization with the access token."""
    return {"Authorization": f"Bearer {tokens['access_token']}"}


async def status(running: Running, tokens: dict[str, str]) -> tuple[int, str]:
    """What the access token is good for: a status, and the reason when it is refused."""
    response = await running.http.get(ME, headers=bearer(tokens))
    return response.status_code, "" if response.status_code == 200 else reason_of(response)


async def change(running: Running, tokens: dict[str, str], old: str, new: str) -> httpx.Response:
    """Changes the viewer's password."""
    body = {"old_password": old, "new_password": new}
    return await running.http.post("/api/v1/auth/password", json=body, headers=bearer(tokens))


async def test_log_out_ends_all_tokens_of_the_session_and_no_other(running: Running) -> None:
    first, other = await log_in(running), await log_in(running)
    second = (await refresh(running, first)).json()
    answer = await running.http.post("/api/v1/auth/logout", headers=bearer(second))
    assert (answer.status_code, answer.content) == (204, b"")
    for tokens in (first, second):
        assert await status(running, tokens) == (401, "SESSION_ENDED")
    assert reason_of(await refresh(running, second)) == "REFRESH_TOKEN_INVALID"
    assert await status(running, other) == (200, "")
    assert await status(running, await log_in(running)) == (200, "")
    newest = await running.gateway.stores.audit.newest(2**62, 1)
    assert (newest[0].actor, newest[0].action) == ("user:viewer", "session.end")


async def test_log_out_ends_a_token_of_the_command_line_too(running: Running) -> None:
    headers = running.headers("admin")
    assert (await running.http.post("/api/v1/auth/logout", headers=headers)).status_code == 204
    answer = await running.http.get(ME, headers=headers)
    assert (answer.status_code, reason_of(answer)) == (401, "SESSION_ENDED")
    assert (await running.http.get(ME, headers=running.headers("admin"))).status_code == 200


async def test_a_refresh_token_used_twice_ends_access_tokens_too(running: Running) -> None:
    first = await log_in(running)
    second = (await refresh(running, first)).json()
    assert (await refresh(running, first)).status_code == 401
    await running.gateway.keeper.notice()
    assert await status(running, second) == (401, "SESSION_ENDED")


async def test_of_two_refreshes_at_once_the_one_that_began_first_may_be_the_second_use(
    running: Running,
) -> None:
    """It waited for the other, so it is a second use, though its transaction is the older one."""
    tokens = await log_in(running)
    pool = running.gateway.dependencies.pool
    async with pool.acquire() as other, other.transaction():
        await other.execute("SELECT 1 FROM gateway.refresh_token FOR UPDATE")
        waiting = asyncio.create_task(refresh(running, tokens))
        await until(lambda: pool.fetchval(WAITING))
        await other.execute(USE)
    assert reason_of(await waiting) == "REFRESH_TOKEN_INVALID"
    assert await pool.fetchval("SELECT count(*) FROM gateway.refresh_token") == 0


async def test_own_password_change_keeps_this_session_and_ends_the_others(
    running: Running,
) -> None:
    mine, other = await log_in(running), await log_in(running)
    assert (await change(running, mine, ADMIN_PASSWORD, NEW_PASSWORD)).status_code == 204
    assert await status(running, mine) == (200, "")
    mine = (await refresh(running, mine)).json()
    assert await status(running, mine) == (200, "")
    assert await status(running, other) == (401, "TOKEN_SUPERSEDED")
    assert (await refresh(running, other)).status_code == 401
    assert await status(running, await log_in(running, NEW_PASSWORD)) == (200, "")
    refused = await running.http.post("/api/v1/auth/token", auth=("viewer", ADMIN_PASSWORD))
    assert refused.status_code == 401


async def test_the_old_password_must_be_right_and_the_new_one_fit(running: Running) -> None:
    tokens = await log_in(running)
    wrong = await change(running, tokens, "not the password", NEW_PASSWORD)
    assert (wrong.status_code, reason_of(wrong)) == (403, "CREDENTIALS_WRONG")
    for unfit in ("short", ADMIN_PASSWORD):
        refused = await change(running, tokens, ADMIN_PASSWORD, unfit)
        assert (refused.status_code, reason_of(refused)) == (400, "PASSWORD_UNFIT")
    assert await status(running, tokens) == (200, "")


async def test_a_password_set_by_an_admin_or_by_hand_ends_every_session(running: Running) -> None:
    first = await log_in(running)
    async with running.client("admin") as admin:
        await admin.patch("/api/v1/users/viewer", json={"password": NEW_PASSWORD})
    assert await status(running, first) == (401, "TOKEN_SUPERSEDED")
    second = await log_in(running, NEW_PASSWORD)
    assert await status(running, second) == (200, "")
    hashed = await running.passwords.hash(ADMIN_PASSWORD)
    pool = running.gateway.dependencies.pool
    query = "UPDATE gateway.account SET password_hash = $1 WHERE user_name = 'viewer'"
    await pool.execute(query, hashed)
    await running.gateway.keeper.notice()
    assert await status(running, second) == (401, "TOKEN_SUPERSEDED")


async def test_enabling_an_account_gives_no_old_token_back(running: Running) -> None:
    tokens = await log_in(running)
    async with running.client("admin") as admin:
        await admin.patch("/api/v1/users/viewer", json={"disabled": True})
        assert await status(running, tokens) == (401, "ACCOUNT_DISABLED")
        await admin.patch("/api/v1/users/viewer", json={"disabled": False})
    assert await status(running, tokens) == (401, "TOKEN_SUPERSEDED")
    assert await status(running, await log_in(running)) == (200, "")


async def test_a_deleted_user_is_out_with_all_tokens_and_keys(running: Running) -> None:
    await running.make_user("second", "admin")
    async with running.client("second") as second:
        body = {"name": "sender", "scopes": ["read:alerts"]}
        key = (await second.post("/api/v1/api-keys", json=body)).json()["key"]
        assert (await running.http.get("/api/v1/alerts", headers={"X-API-Key": key})).is_success
        async with running.client("admin") as admin:
            assert (await admin.delete("/api/v1/users/second")).status_code == 204
            assert (await admin.delete("/api/v1/users/second")).status_code == 404
        answer = await second.get(ME)
        assert (answer.status_code, reason_of(answer)) == (401, "ACCOUNT_DELETED")
    answer = await running.http.get("/api/v1/alerts", headers={"X-API-Key": key})
    assert (answer.status_code, reason_of(answer)) == (401, "KEY_REVOKED")
    await running.make_user("second", "viewer")
    assert (await running.http.get(ME, headers=running.headers("second"))).is_success


async def test_the_last_admin_cannot_be_deleted(running: Running) -> None:
    async with running.client("admin") as admin:
        answer = await admin.delete("/api/v1/users/admin")
        assert reason_of(answer) == "LAST_ADMIN"
        assert (await admin.get(ME)).is_success
