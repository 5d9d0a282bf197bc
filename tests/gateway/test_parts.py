"""Small parts on their own."""

import asyncio
import sys

import pytest

from mesh.errors import Internal, InvalidInput, Overloaded, Unavailable
from services.gateway.auth.budget import AddressBudget
from services.gateway.auth.passwords import Passwords
from services.gateway.http.problems import without_429
from services.gateway.intake.samples import Producer, repeatable
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


async def test_an_address_has_its_own_budget_that_fills_up_again() -> None:
    clock = HandClock()
    budget = AddressBudget(clock, burst=2, per_s=2.0)
    for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2"):
        budget.spend(address)
    with pytest.raises(Overloaded) as refused:
        budget.spend("192.0.2.1")
    assert (refused.value.reason, refused.value.retry_after_s) == ("ADDRESS_LIMITED", 0.5)
    budget.spend("192.0.2.2")
    await clock.sleep(0.5)
    budget.spend("192.0.2.1")


def test_sequences_rise_even_when_the_clock_steps_back(monkeypatch: pytest.MonkeyPatch) -> None:
    producer = Producer("x")
    _, first = producer.next()
    monkeypatch.setattr("services.gateway.intake.samples.time.time_ns", lambda: 5)
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


async def test_passwords_are_hashed_in_a_process_of_low_priority() -> None:
    """Started with `nice`, a process may not raise the priority of its threads again."""
    code = (
        "import asyncio, os\n"
        "from services.gateway.auth.passwords import Passwords\n"
        "import concurrent.futures.thread\n"
        "os.nice(15)\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "print(len(asyncio.run(Passwords().hash('a long enough password'))))\n"
    )
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await child.communicate()
    assert child.returncode == 0, err.decode()
    assert int(out) > 50
