"""Log-in, tokens, refresh, lockout."""

import base64

import asyncpg
import httpx
import pytest

from mesh.auth import TokenMinter, generate_key_files
from tests.gateway.conftest import ADMIN_PASSWORD, Running, Start, reason_of

TOKEN = "/api/v1/auth/token"
ME = "/api/v1/auth/me"


@pytest.fixture
def running(fresh: Running) -> Running:
    """A gateway of its own for each test."""
    return fresh


async def log_in(running: Running, user: str, password: str) -> httpx.Response:
    """Asks for tokens."""
    return await running.http.post(TOKEN, auth=(user, password))


async def test_a_password_becomes_tokens(running: Running) -> None:
    response = await log_in(running, "admin", ADMIN_PASSWORD)
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    tokens = response.json()
    assert set(tokens) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (tokens["token_type"], tokens["expires_in"]) == ("bearer", 1800)
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    me = (await running.http.get(ME, headers=headers)).json()
    assert (me["userName"], me["role"], me["scopes"]) == ("admin", "admin", ["admin"])


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("admin", "wrong"),
        ("nobody", ADMIN_PASSWORD),
        ("", ""),
        ("Admin", ADMIN_PASSWORD),
        ("admin\0", ADMIN_PASSWORD),
        ("admin", ADMIN_PASSWORD + "\0"),
        ("' OR 1=1 --", "x"),
        ("admin", "x" * 10_000),
    ],
)
async def test_wrong_credentials_all_sound_the_same(
    running: Running, user: str, password: str
) -> None:
    response = await log_in(running, user, password)
    assert (response.status_code, reason_of(response)) == (401, "CREDENTIALS_WRONG")
    assert response.headers["WWW-Authenticate"].startswith("Basic")
    assert response.json()["error"]["message"] == "wrong user or password"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("", "CREDENTIALS_MISSING"),
        ("Bearer x", "CREDENTIALS_MISSING"),
        ("Basic !!!", "CREDENTIALS_BROKEN"),
        ("Basic " + base64.b64encode(b"\xff\xfe:x").decode(), "CREDENTIALS_BROKEN"),
        ("Basic", "CREDENTIALS_WRONG"),
    ],
)
async def test_credentials_that_are_none_are_401(
    running: Running, header: str, reason: str
) -> None:
    response = await running.http.post(TOKEN, headers={"Authorization": header})
    assert (response.status_code, reason_of(response)) == (401, reason)


async def test_a_refresh_token_is_good_once(running: Running) -> None:
    first = (await log_in(running, "admin", ADMIN_PASSWORD)).json()["refresh_token"]
    url = "/api/v1/auth/refresh"
    second = await running.http.post(url, json={"refresh_token": first})
    assert second.status_code == 200
    headers = {"Authorization": f"Bearer {second.json()['access_token']}"}
    assert (await running.http.get(ME, headers=headers)).status_code == 200
    again = await running.http.post(url, json={"refresh_token": first})
    assert (again.status_code, reason_of(again)) == (401, "REFRESH_TOKEN_INVALID")
    stolen = await running.http.post(url, json={"refresh_token": second.json()["refresh_token"]})
    assert (stolen.status_code, reason_of(stolen)) == (401, "REFRESH_TOKEN_INVALID")
    actions = [entry.action for entry in await running.gateway.stores.audit.newest(2**62, 10)]
    assert "session.reuse" in actions


async def test_a_refresh_token_expires(start: Start) -> None:
    async with start() as running:
        token = (await log_in(running, "admin", ADMIN_PASSWORD)).json()["refresh_token"]
        pool = running.gateway.dependencies.pool
        await pool.execute("UPDATE gateway.refresh_token SET expires_at = now() - interval '1 s'")
        response = await running.http.post("/api/v1/auth/refresh", json={"refresh_token": token})
        assert (response.status_code, reason_of(response)) == (401, "REFRESH_TOKEN_INVALID")
        await running.gateway.stores.refresh_tokens.purge()
        assert await pool.fetchval("SELECT count(*) FROM gateway.refresh_token") == 0


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"refresh_token": 5}', b'{"other": 1}'])
async def test_a_broken_refresh_is_400(running: Running, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    response = await running.http.post("/api/v1/auth/refresh", content=body, headers=headers)
    assert response.status_code == 400


async def test_secrets_are_kept_as_hashes_only(running: Running) -> None:
    tokens = (await log_in(running, "admin", ADMIN_PASSWORD)).json()
    pool = running.gateway.dependencies.pool
    rows = await pool.fetch("SELECT t::text AS text FROM gateway.refresh_token t")
    rows += await pool.fetch("SELECT a::text AS text FROM gateway.account a")
    text = "".join(row["text"] for row in rows)
    assert tokens["refresh_token"] not in text
    assert ADMIN_PASSWORD not in text
    assert "$argon2id$" in text


async def test_tokens_that_are_not_ours_are_401(
    running: Running, tmp_path_factory: pytest.TempPathFactory
) -> None:
    foreign = tmp_path_factory.mktemp("foreign")
    generate_key_files(foreign, ["gateway"])
    ingest = TokenMinter.from_file(running.keys / "ingest.pem", "ingest")
    gateway = TokenMinter.from_file(running.keys / "gateway.pem", "gateway")
    expected = {
        TokenMinter.from_file(foreign / "gateway.pem", "gateway").mint(
            "user:admin", ["admin"], 60
        ): "TOKEN_INVALID",
        ingest.mint("user:admin", ["admin"], 60): "TOKEN_INVALID",
        ingest.service_token(): "TOKEN_INVALID",
        gateway.service_token(): "TOKEN_INVALID",
        gateway.mint("key:000000000000", ["admin"], 60): "TOKEN_INVALID",
        running.token("admin", ttl_s=-60): "TOKEN_EXPIRED",
        running.token("admin")[:-3] + "AAA": "TOKEN_INVALID",
        "nonsense": "TOKEN_INVALID",
        "": "TOKEN_MISSING",
        "sk_000000000000_nothing": "TOKEN_INVALID",
    }
    for token, reason in expected.items():
        response = await running.http.get(ME, headers={"Authorization": f"Bearer {token}".strip()})
        assert (response.status_code, reason_of(response)) == (401, reason), token
        assert response.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_disabled_account_is_out_with_the_answer(running: Running) -> None:
    headers = running.headers("viewer")
    async with running.client("admin") as admin:
        await admin.patch("/api/v1/users/viewer", json={"disabled": True})
    response = await running.http.get(ME, headers=headers)
    assert (response.status_code, reason_of(response)) == (401, "ACCOUNT_DISABLED")
    assert (await log_in(running, "viewer", ADMIN_PASSWORD)).status_code == 401


async def test_a_name_without_account_is_taken_at_its_word(running: Running) -> None:
    """Who holds the gateway's key can always get in: `sensus token`."""
    minter = TokenMinter.from_file(running.keys / "gateway.pem", "gateway")
    token = minter.mint("user:operations", ["read:alerts"], 60)
    response = await running.http.get(ME, headers={"Authorization": f"Bearer {token}"})
    assert response.json().items() >= {"userName": "operations", "role": ""}.items()
    assert response.json()["scopes"] == ["read:alerts"]


async def test_a_lower_role_takes_scopes_from_running_tokens(running: Running) -> None:
    token = running.headers("operator")
    async with running.client("admin") as admin:
        await admin.patch("/api/v1/users/operator", json={"role": "viewer"})
    me = (await running.http.get(ME, headers=token)).json()
    assert me["scopes"] == [
        "read:alerts",
        "read:analysis",
        "read:incidents",
        "read:notices",
        "read:samples",
        "read:topology",
    ]


async def test_there_is_no_user_without_a_bootstrap_password(start: Start) -> None:
    async with start(bootstrap_admin_password="") as running:
        assert await running.gateway.stores.accounts.list_all() == []
        for password in ("", "admin", "password"):
            assert (await log_in(running, "admin", password)).status_code == 401


async def test_the_bootstrap_password_changes_nothing_later(start: Start) -> None:
    async with start() as running:
        assert (await log_in(running, "admin", ADMIN_PASSWORD)).status_code == 200
    async with start(bootstrap_admin_password="quite another password") as running:
        assert (await log_in(running, "admin", "quite another password")).status_code == 401
        assert (await log_in(running, "admin", ADMIN_PASSWORD)).status_code == 200


async def test_without_the_database_nobody_gets_in(running: Running) -> None:
    await running.gateway.dependencies.pool.close()
    headers = running.headers("operator")
    for response in (
        await running.http.get(ME, headers=headers),
        await log_in(running, "admin", ADMIN_PASSWORD),
    ):
        assert response.status_code == 503
        assert reason_of(response) == "DATABASE_UNAVAILABLE"
        assert "Retry-After" in response.headers


async def test_passwords_are_argon2id_with_the_librarys_parameters() -> None:
    from services.gateway.auth.passwords import Passwords

    passwords = Passwords()
    stored = await passwords.hash(ADMIN_PASSWORD)
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert await passwords.matches(ADMIN_PASSWORD, stored)
    assert not await passwords.matches("other", stored)
    assert not await passwords.matches("nobody has this password", None)


async def test_the_schema_must_be_there(start: Start, migrated_dsn: str) -> None:
    connection = await asyncpg.connect(migrated_dsn)
    await connection.execute("DELETE FROM sensus_meta.migrations")
    await connection.close()
    with pytest.raises(Exception, match="run the migrations first"):
        async with start():
            pass
