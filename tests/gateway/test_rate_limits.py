"""Sliding windows per caller and kind."""

import asyncio
import dataclasses

import httpx
import pytest
from redis.asyncio import Redis

from mesh.clock import SystemClock
from services.gateway.config import Config
from services.gateway.store.rate_limiter import RateLimiter
from tests.gateway.conftest import ADMIN_PASSWORD, Running, Start, reason_of

LIMITS = {"rate_metrics": 4, "rate_alerts": 3, "rate_analysis": 2, "rate_other": 5}
KEY_LIMITS = LIMITS | {"rate_api_key": 7}


async def burst(
    http: httpx.AsyncClient, count: int, path: str, headers: dict[str, str], method: str = "GET"
) -> list[httpx.Response]:
    """So many requests one after the other."""
    return [await http.request(method, path, headers=headers) for _ in range(count)]


async def test_defaults_are_those_of_the_product(config: Config) -> None:
    by_name = {field.name: field.default for field in dataclasses.fields(Config)}
    kinds = ("rate_metrics", "rate_alerts", "rate_analysis", "rate_other", "rate_api_key")
    assert [by_name[kind] for kind in kinds] == [100, 50, 30, 60, 6000]
    assert by_name["rate_telemetry"] == 6000


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        ("/api/v1/alerts", 3),
        ("/api/v1/analysis/latest", 2),
        ("/api/v1/explanations", 2),
        ("/api/v1/anomalies", 5),
        ("/api/v1/nothing", 5),
    ],
)
async def test_each_kind_has_its_limit(start: Start, path: str, limit: int) -> None:
    async with start(**LIMITS) as running:
        answers = await burst(running.http, limit + 1, path, running.headers())
        assert [answer.status_code == 429 for answer in answers] == [False] * limit + [True]
        remaining = [answer.headers["X-RateLimit-Remaining"] for answer in answers]
        assert remaining == [str(left) for left in range(limit - 1, -1, -1)] + ["0"]
        assert {a.headers["X-RateLimit-Limit"] for a in answers} == {str(limit)}
        assert {a.headers["X-RateLimit-Window"] for a in answers} == {"60"}
        assert reason_of(answers[-1]) == "RATE_LIMITED"
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60


async def test_metrics_over_the_limit_are_429_and_alerts_503(start: Start) -> None:
    async with start(**LIMITS) as running:
        metrics = await burst(running.http, 5, "/api/v1/metrics", running.headers(), "POST")
        assert metrics[-1].status_code == 429
        alerts = await burst(running.http, 4, "/api/v1/alerts", running.headers(), "POST")
        assert alerts[-1].status_code == 503
        assert (reason_of(alerts[-1]), "Retry-After" in alerts[-1].headers) == (
            "RATE_LIMITED",
            True,
        )


async def test_callers_do_not_share_a_window(start: Start) -> None:
    async with start(**LIMITS) as running:
        await running.make_user("viewer", "viewer")
        await burst(running.http, 3, "/api/v1/explanations", running.headers("admin"))
        other = await burst(running.http, 1, "/api/v1/explanations", running.headers("viewer"))
        assert other[0].status_code == 200


async def test_a_log_in_does_not_use_up_what_a_token_of_the_same_person_may_ask(
    start: Start,
) -> None:
    async with start(**LIMITS) as running:
        login = await running.http.post("/api/v1/auth/token", auth=("admin", ADMIN_PASSWORD))
        session = {"Authorization": f"Bearer {login.json()['access_token']}"}
        asked = await burst(running.http, 9, "/api/v1/anomalies", session)
        assert {answer.status_code for answer in asked} == {200}
        answers = await burst(running.http, 6, "/api/v1/anomalies", running.headers("admin"))
        assert [answer.status_code for answer in answers] == [200] * 5 + [429]


async def test_strangers_count_by_address_and_are_limited_too(start: Start) -> None:
    async with start(**LIMITS) as running:
        answers = await burst(running.http, 6, "/api/v1/anomalies", {})
        assert [answer.status_code for answer in answers] == [401] * 5 + [429]


async def test_forwarded_addresses_count_only_from_trusted_proxies(start: Start) -> None:
    for trusted, expected in (((), 429), (("127.0.0.0/8",), 401)):
        async with start(**LIMITS, trusted_proxies=trusted) as running:
            await running.gateway.dependencies.redis.flushall()
            statuses = [
                (
                    await running.http.get(
                        "/api/v1/anomalies", headers={"X-Forwarded-For": f"203.0.113.{n}"}
                    )
                ).status_code
                for n in range(6)
            ]
            assert statuses[-1] == expected


async def test_an_api_key_has_its_own_limit(start: Start) -> None:
    async with start(**KEY_LIMITS) as running:
        plain = {"name": "a", "scopes": ["read:alerts"]}
        own = plain | {"requests_per_minute": 9}
        for body, limit in ((plain, 7), (own, 9)):
            made = await running.http.post("/api/v1/api-keys", json=body, headers=running.headers())
            headers = {"X-API-Key": made.json()["key"]}
            answers = await burst(running.http, limit + 1, "/api/v1/alerts", headers)
            assert [a.status_code for a in answers] == [200] * limit + [429]


async def test_health_and_documents_are_exempt(start: Start) -> None:
    async with start(**LIMITS) as running:
        for path in ("/health", "/livez", "/readyz", "/metrics", "/docs", "/openapi.json"):
            answers = await burst(running.http, 8, path, {})
            assert {answer.status_code for answer in answers} == {200}
            assert "X-RateLimit-Limit" not in answers[0].headers


async def test_without_redis_everything_is_let_through(start: Start) -> None:
    async with start(**LIMITS, redis_url="redis://127.0.0.1:1/0") as running:
        answers = await burst(running.http, 8, "/api/v1/anomalies", running.headers())
        assert {answer.status_code for answer in answers} == {200}
        assert "X-RateLimit-Limit" not in answers[0].headers
        health = await running.http.get("/health")
        assert (health.status_code, health.json()["status"]) == (200, "degraded")


async def test_a_window_slides(redis_url: str) -> None:
    """A request leaves the window a minute after it came, not at the end of a fixed minute."""
    async with Redis.from_url(redis_url, protocol=3) as redis:
        limiter = RateLimiter(redis, SystemClock(), "a")
        for _ in range(3):
            taken = await limiter.take("k", 3)
            assert taken is not None
            assert taken.wait_s == 0
        [(oldest, came_us), *_] = await redis.zrange("sensus:a:rate:k", 0, 0, withscores=True)
        before_us = await now_us(redis)
        full = await limiter.take("k", 3)
        after_us = await now_us(redis)
        assert full is not None
        assert before_us <= came_us + 60_000_000 - full.wait_s * 1e6 <= after_us
        await redis.zincrby("sensus:a:rate:k", -61_000_000, oldest)
        assert (await limiter.take("k", 3)).wait_s == 0  # type: ignore[union-attr]
        assert (await limiter.take("k", 3)).wait_s > 0  # type: ignore[union-attr]
        assert 0 < await redis.pttl("sensus:a:rate:k") <= 60_000


async def now_us(redis: Redis) -> int:
    """The clock of the windows."""
    seconds, microseconds = await redis.time()
    return int(seconds) * 1_000_000 + int(microseconds)


async def test_requests_at_the_same_time_are_counted_exactly(running: Running) -> None:
    limiter = RateLimiter(running.gateway.dependencies.redis, SystemClock(), "a")
    taken = await asyncio.gather(*(limiter.take("burst", 10) for _ in range(50)))
    assert sum(window is not None and window.wait_s == 0 for window in taken) == 10


async def test_of_what_requests_at_the_same_time_have_counted_ahead_nothing_is_lost(
    running: Running,
) -> None:
    redis = running.gateway.dependencies.redis
    limiter = RateLimiter(redis, StandingClock(), "ahead")
    for _ in range(20):
        await asyncio.gather(*(limiter.take("busy", 10_000) for _ in range(50)))
    assert 1000 <= await redis.zcard("sensus:ahead:rate:busy") < 1000 + 64


class StandingClock(SystemClock):
    """What is counted ahead stays good, however slow the machine."""

    def monotonic_s(self) -> float:
        return 1.0
