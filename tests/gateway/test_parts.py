"""Small parts on their own."""

import asyncio
from typing import Any

import pytest

from mesh.errors import Internal, InvalidInput, Overloaded, Unavailable
from services.gateway.auth.passwords import Passwords
from services.gateway.auth.ttl_cache import TtlCache
from services.gateway.foreign.alertmanager import read_alerts
from services.gateway.http.problems import without_429
from services.gateway.intake import Producer, repeatable
from services.gateway.model import AlertChange
from services.gateway.transcoding.refusals import refusal
from services.gateway.upkeep.housekeeping import purge
from tests.gateway.conftest import Running


class HandClock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def now_ms(self) -> int:
        return int(self.now_s * 1000)

    def monotonic_s(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds


async def test_an_answer_is_remembered_for_its_time_only() -> None:
    asked: list[str] = []

    async def ask(key: str) -> int:
        asked.append(key)
        return len(asked)

    clock = HandClock()
    cache: TtlCache[str, int] = TtlCache(ask, ttl_s=5, max_size=2, clock=clock)
    assert [await cache.get("a"), await cache.get("a")] == [1, 1]
    await clock.sleep(5)
    assert await cache.get("a") == 2
    await cache.get("b")
    await cache.get("c")
    assert await cache.get("a") == 5, "the oldest answer went first"


async def test_a_failure_is_not_remembered() -> None:
    answers: list[Any] = [Unavailable("away"), 7]

    async def ask(key: str) -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return int(answer)

    cache: TtlCache[str, int] = TtlCache(ask, ttl_s=5, max_size=2, clock=HandClock())
    with pytest.raises(Unavailable):
        await cache.get("a")
    assert await cache.get("a") == 7


def test_sequences_rise_even_when_the_clock_steps_back(monkeypatch: pytest.MonkeyPatch) -> None:
    producer = Producer("x")
    _, first = producer.next()
    monkeypatch.setattr("services.gateway.intake.time.time_ns", lambda: 5)
    assert producer.next() == ("gateway:x", first + 1)


def test_idempotency_keys_of_two_callers_do_not_meet() -> None:
    assert repeatable("user:a", "k") == repeatable("user:a", "k")
    assert repeatable("user:a", "k") != repeatable("user:b", "k")
    assert repeatable("user:a", "\u00ff" * 200)[0].isascii()


def test_a_webhook_sees_503_where_others_see_429() -> None:
    shown = without_429(Overloaded("slow down", retry_after_s=4, reason="RATE_LIMITED"))
    assert isinstance(shown, Unavailable)
    assert (shown.retry_after_s, shown.reason) == (4, "RATE_LIMITED")
    error = InvalidInput("bad")
    assert without_429(error) is error


def test_prometheus_alerts_end_when_they_say_so() -> None:
    body = (
        b'[{"labels":{"a":"b"},"startsAt":"2026-01-01T00:00:00Z","endsAt":"2026-01-01T00:04:00Z"}]'
    )
    end_ms = 1_767_225_840_000
    for now_ms, firing in ((end_ms - 1, True), (end_ms, False)):
        [change] = read_alerts(body, now_ms)
        assert isinstance(change, AlertChange)
        assert change.is_firing is firing
        assert change.end_ms == (None if firing else end_ms)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("Failed to parse pageSize field: Value out of range: -1.", "pageSize"),
        ("Failed to parse a field: Failed to parse b field: bad...", "a.b"),
        ("Failed to parse t field: no offset. at Request.x.t.", "x.t"),
        ('Message type "X" has no field named "n" at "X".\n Available', "n"),
        ("something else", None),
    ],
)
def test_refusals_name_the_field(text: str, field: str | None) -> None:
    error = refusal(text)
    assert [violation.field for violation in error.violations] == ([field] if field else [])
    assert "\n" not in error.message


async def test_purging_survives_a_database_that_is_away(running: Running) -> None:
    class Away:
        async def purge(self) -> None:
            raise Unavailable("away")

    class Stores:
        refresh_tokens = Away()
        attempts = Away()

    for stores in (Stores(), running.gateway.stores):
        task = asyncio.create_task(purge(stores))  # type: ignore[arg-type]
        await asyncio.sleep(0.1)
        assert not task.done()
        task.cancel()


async def test_too_many_log_ins_at_once_are_turned_away(passwords: Passwords) -> None:
    stored = await passwords.hash("a long enough password")
    checks = [passwords.matches("x", stored) for _ in range(60)]
    results = await asyncio.gather(*checks, return_exceptions=True)
    assert sum(isinstance(result, Overloaded) for result in results) == 28
    assert results.count(False) == 32


def test_internal_errors_say_nothing_but_their_id() -> None:
    assert Internal("abc").message == "internal error abc: report this id"
