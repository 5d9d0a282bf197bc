"""Wrong passwords cost their sender time, and nobody else anything."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from mesh.auth import TokenVerifier
from mesh.clock import SystemClock
from services.gateway.auth.passwords import Passwords
from services.gateway.store import attempts
from tests.gateway.conftest import ADMIN_PASSWORD, Running, Start, reason_of

TOKEN = "/api/v1/auth/token"
NOW = "timestamptz '2026-11-20 12:00Z'"


@pytest.fixture
async def running(start: Start) -> AsyncIterator[Running]:
    """A gateway that believes what a proxy on this machine says of addresses."""
    async with start(trusted_proxies=("127.0.0.0/8",)) as running:
        await running.make_user("viewer", "viewer")
        yield running


async def log_in(
    running: Running, password: str, *, user: str = "viewer", address: str = "192.0.2.1"
) -> httpx.Response:
    """Asks for tokens from an address."""
    headers = {"X-Forwarded-For": address}
    return await running.http.post(TOKEN, auth=(user, password), headers=headers)


def stop_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps a slow machine from giving an address more while it asks."""
    stopped_s = SystemClock().monotonic_s()
    monkeypatch.setattr(SystemClock, "monotonic_s", lambda _: stopped_s)


@pytest.fixture
def standing_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts take no time: a wait of a second is not over while a slow machine tries again."""
    for name in ("_BEGIN", "_WAIT"):
        monkeypatch.setattr(attempts, name, getattr(attempts, name).replace("now()", NOW))


async def test_a_stranger_locks_nobody_out(running: Running) -> None:
    for n in range(12):
        await log_in(running, f"guess {n}", address="198.51.100.7")
    assert (await log_in(running, ADMIN_PASSWORD)).status_code == 200


@pytest.mark.usefixtures("standing_still")
async def test_each_failure_doubles_the_wait_of_its_address(running: Running) -> None:
    first = [(await log_in(running, "guess")).status_code for _ in range(3)]
    assert first == [401, 401, 401]
    delayed = await log_in(running, ADMIN_PASSWORD)
    assert (delayed.status_code, reason_of(delayed)) == (429, "LOGIN_DELAYED")
    assert int(delayed.headers["Retry-After"]) == 1
    pool = running.gateway.dependencies.pool
    waits = []
    for failures in (4, 5, 9, 40):
        await pool.execute("UPDATE gateway.login_failure SET failures = $1", failures)
        waits.append(int((await log_in(running, "guess")).headers["Retry-After"]))
    assert waits == [2, 4, 64, 300]


async def test_hammering_while_delayed_makes_the_delay_no_longer(running: Running) -> None:
    pool = running.gateway.dependencies.pool
    for _ in range(3):
        await log_in(running, "guess")
    await pool.execute("UPDATE gateway.login_failure SET failures = 12, last_at = now()")
    counted = await pool.fetch("SELECT failures, last_at FROM gateway.login_failure")
    for _ in range(8):
        assert reason_of(await log_in(running, "guess")) == "LOGIN_DELAYED"
    assert await pool.fetch("SELECT failures, last_at FROM gateway.login_failure") == counted
    await pool.execute("UPDATE gateway.login_failure SET last_at = now() - interval '300 s'")
    assert (await log_in(running, ADMIN_PASSWORD)).status_code == 200


async def test_the_right_password_from_a_known_address_is_never_delayed(running: Running) -> None:
    assert (await log_in(running, ADMIN_PASSWORD)).status_code == 200
    for n in range(30):
        assert (await log_in(running, f"guess {n}")).status_code == 401
    assert (await log_in(running, ADMIN_PASSWORD)).status_code == 200


@pytest.mark.usefixtures("standing_still")
async def test_parallel_guesses_are_counted(running: Running) -> None:
    guesses = await asyncio.gather(*(log_in(running, f"guess {n}") for n in range(12)))
    assert sorted(response.status_code for response in guesses) == [401] * 3 + [429] * 9


@pytest.mark.usefixtures("standing_still")
async def test_unknown_users_get_the_same_answers_and_delays(running: Running) -> None:
    seen = [
        [
            (answer.status_code, answer.json()["error"]["message"])
            for answer in [await log_in(running, "guess", user=user) for _ in range(5)]
        ]
        for user in ("viewer", "nobody")
    ]
    assert seen[0] == seen[1]


async def test_a_flood_from_one_address_is_refused_before_any_work(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = 0
    matches = Passwords.matches

    async def counted(self: Passwords, password: str, stored: str | None) -> bool:
        nonlocal checked
        checked += 1
        return await matches(self, password, stored)

    monkeypatch.setattr(Passwords, "matches", counted)
    stop_the_clock(monkeypatch)
    flood = await asyncio.gather(*(log_in(running, "guess", user=f"user-{n}") for n in range(200)))
    refused = [answer for answer in flood if answer.status_code == 429]
    assert {reason_of(answer) for answer in refused} <= {"ADDRESS_LIMITED", "OVERLOADED"}
    assert len(refused) > 80
    assert checked < 100
    assert (await log_in(running, ADMIN_PASSWORD, address="203.0.113.9")).status_code == 200


async def test_other_traffic_of_an_address_limits_no_login(start: Start) -> None:
    async with start(rate_other=5) as running:
        for _ in range(20):
            refused = await running.http.get("/api/v1/auth/me")
        assert refused.status_code == 429
        response = await running.http.post(TOKEN, auth=("admin", ADMIN_PASSWORD))
        assert response.status_code == 200


async def test_random_keys_cost_no_query_each_and_evict_nobody(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running.client("admin") as admin:
        await running.make_user("other", "admin")
        body = {"name": "sender", "scopes": ["read:alerts"]}
        key = (await admin.post("/api/v1/api-keys", json=body)).json()["key"]
    store = running.gateway.stores.standing
    asked = 0
    after = type(store).after

    async def counted(self: object, *arguments: object) -> object:
        nonlocal asked
        asked += self is store and asyncio.current_task() is not running.keeping
        return await after(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(type(store), "after", counted)
    stop_the_clock(monkeypatch)
    for n in range(400):
        headers = {"X-API-Key": f"sk_{n:012x}_nothing"}
        answer = await running.http.get("/api/v1/alerts", headers=headers)
        assert answer.status_code in (401, 429)
    assert asked <= 1
    good = await running.http.get("/api/v1/alerts", headers={"X-API-Key": key})
    assert good.status_code == 200


async def test_random_tokens_are_refused_before_their_signature_is_looked_at(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = running.headers("viewer")
    assert (await running.http.get("/api/v1/alerts", headers=good)).status_code == 200
    looked = 0
    verify = TokenVerifier.verify

    def counted(self: TokenVerifier, token: str) -> object:
        nonlocal looked
        looked += 1
        return verify(self, token)

    monkeypatch.setattr(TokenVerifier, "verify", counted)
    stop_the_clock(monkeypatch)
    answers = set()
    for n in range(400):
        token = f"{running.token('viewer')[:-4]}{n:04d}"
        answer = await running.http.get(
            "/api/v1/alerts", headers={"Authorization": f"Bearer {token}"}
        )
        answers.add(reason_of(answer))
    assert answers == {"TOKEN_INVALID", "ADDRESS_LIMITED"}
    assert looked < 400
    assert (await running.http.get("/api/v1/alerts", headers=good)).status_code == 200
