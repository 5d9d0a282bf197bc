"""Whose tokens hold: what is refused, what is taken, and what a silent source means."""

import asyncio
import threading
from pathlib import Path

import pytest

from mesh.auth import (
    Principal,
    Standing,
    Standings,
    TokenMinter,
    TokenVerifier,
    generate_key_files,
)
from mesh.auth.keys import TrustedKeys
from mesh.errors import SensusError, Unauthenticated, Unavailable

ANN = Principal(
    subject="user:ann",
    scopes=frozenset({"read:alerts", "write:alerts"}),
    issuer="gateway",
    epoch_us=100,
    session="s1",
)
ENABLED = Standing(subject="user:ann", revision=1, epoch_us=100, scopes=ANN.scopes)


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


def table_of(*standings: Standing, clock: HandClock | None = None) -> Standings:
    """A table that has just heard this."""
    table = Standings(clock or HandClock(), grace_s=3.0)
    table.apply(len(standings), standings, complete=True)
    return table


def refusal(table: Standings, principal: Principal = ANN) -> str:
    """Why the principal is refused."""
    with pytest.raises(Unauthenticated) as refused:
        table.check(principal)
    return refused.value.reason


@pytest.mark.parametrize(
    ("standing", "reason"),
    [
        (Standing(subject="user:ann", revision=1, ended="disabled"), "ACCOUNT_DISABLED"),
        (Standing(subject="user:ann", revision=1, ended="deleted"), "ACCOUNT_DELETED"),
        (Standing(subject="user:ann", revision=1, ended="of a later build"), "TOKEN_INVALID"),
        (Standing(subject="user:ann", revision=1, epoch_us=101), "TOKEN_SUPERSEDED"),
        (Standing(subject="session:s1", revision=1, ended="logged out"), "SESSION_ENDED"),
    ],
)
def test_who_has_no_standing_is_told_why(standing: Standing, reason: str) -> None:
    assert refusal(table_of(standing)) == reason


def test_the_session_that_changed_the_password_goes_on() -> None:
    changed = Standing(
        subject="user:ann", revision=1, epoch_us=101, kept_session="s1", scopes=ANN.scopes
    )
    assert table_of(changed).check(ANN) == ANN


@pytest.mark.parametrize("claimed", [frozenset({"admin"}), ANN.scopes])
def test_a_token_holds_no_more_than_its_subject_may(claimed: frozenset[str]) -> None:
    demoted = Standing(subject="user:ann", revision=1, scopes=frozenset({"read:alerts"}))
    principal = Principal(subject="user:ann", scopes=claimed, issuer="gateway", epoch_us=100)
    assert table_of(demoted).check(principal).scopes == {"read:alerts"}


def test_a_name_that_never_had_an_account_is_taken_at_its_tokens_word() -> None:
    assert table_of().check(ANN) == ANN


async def test_a_silent_source_keeps_people_out_and_services_in() -> None:
    clock = HandClock()
    table = table_of(ENABLED, clock=clock)
    ended: list[SensusError] = []
    with table.watching(ANN, ended.append):
        clock.now_s = 3.1
        table.tidy()
        with pytest.raises(Unavailable, match="people are refused"):
            table.check(ANN)
        with pytest.raises(Unavailable):
            await table.probe()
        service = Principal(subject="service:detector", scopes=frozenset(), issuer="detector")
        assert table.check(service) == service
        assert [error.reason for error in ended] == ["STANDING_UNKNOWN"]
    table.refresh()
    assert table.check(ANN) == ANN


def test_only_streams_whose_standing_changed_are_ended() -> None:
    table = table_of(ENABLED)
    ended: list[str] = []
    other = Principal(subject="user:bob", scopes=ANN.scopes, issuer="gateway", session="s2")
    with (
        table.watching(ANN, lambda error: ended.append(f"ann {error.reason}")),
        table.watching(other, lambda error: ended.append(f"bob {error.reason}")),
    ):
        table.apply(2, [ENABLED])
        assert ended == []
        lower = Standing(subject="user:ann", revision=3, scopes=frozenset({"read:alerts"}))
        table.apply(3, [lower])
        table.apply(4, [Standing(subject="session:s2", revision=4, ended="logged out")])
    assert ended == ["ann STANDING_CHANGED", "bob SESSION_ENDED"]


def test_a_table_resumes_and_forgets_what_has_expired() -> None:
    clock = HandClock()
    over = Standing(subject="session:s9", revision=2, ended="logged out", expires_at_s=5)
    table = table_of(ENABLED, over, clock=clock)
    assert [standing.revision for standing in table.after(1)] == [2]
    clock.now_s = 6
    table.tidy()
    assert table.after(0) == [ENABLED]


async def test_unknown_key_ids_make_the_file_be_looked_at_once_a_second_and_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    look = TrustedKeys._look

    def counted(self: TrustedKeys) -> None:
        looks.append(threading.current_thread().name)
        look(self)

    monkeypatch.setattr(TrustedKeys, "_look", counted)
    monkeypatch.setattr("mesh.auth.keys._LOOK_EVERY_S", 600.0)
    keys = TrustedKeys(generate_key_files(tmp_path, ["gateway"]))
    for n in range(1000):
        assert keys.get(f"nobody-{n}") is None
    async with asyncio.timeout(60):
        while not looks:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert len(looks) == 1
    assert looks[0] != threading.main_thread().name


async def test_a_signature_is_checked_once_per_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jwks = generate_key_files(tmp_path, ["gateway"])
    verifier = TokenVerifier.from_file(jwks)
    checked = 0
    claims = TokenVerifier._claims

    def counted(self: TokenVerifier, *arguments: object) -> object:
        nonlocal checked
        checked += 1
        return claims(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(TokenVerifier, "_claims", counted)
    token = TokenMinter.from_file(tmp_path / "gateway.pem", "gateway").mint("user:ann", [], 60)
    assert len({verifier.verify(token) for _ in range(100)}) == 1
    assert checked == 1
