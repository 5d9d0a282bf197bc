"""A provider that keeps failing is left alone for a while."""

import pytest

from services.explainer.llm.breaker import Breaker
from services.explainer.llm.provider import ProviderError


def fail(breaker: Breaker, **more: float) -> None:
    """One call that fails."""
    with pytest.raises(ProviderError), breaker.attempt():
        raise ProviderError("status 500", **more)


def test_breaker_opens_after_three_failures_and_closes_after_a_good_trial() -> None:
    now = [0.0]
    breaker = Breaker(lambda: now[0])
    for _ in range(3):
        assert not breaker.is_open
        fail(breaker)
    assert breaker.is_open
    with pytest.raises(ProviderError, match="left alone after failures"), breaker.attempt():
        pass
    now[0] = 30.0
    with breaker.attempt(), pytest.raises(ProviderError, match="left alone"), breaker.attempt():
        pass
    assert not breaker.is_open


def test_breaker_waits_twice_as_long_after_a_bad_trial() -> None:
    now = [0.0]
    breaker = Breaker(lambda: now[0])
    for at in (0.0, 0.0, 0.0, 30.0):
        now[0] = at
        fail(breaker)
    now[0] = 30.0 + 59.0
    assert breaker.is_open
    now[0] = 30.0 + 60.0
    assert not breaker.is_open


def test_breaker_heeds_what_the_server_asks_for() -> None:
    now = [0.0]
    breaker = Breaker(lambda: now[0])
    fail(breaker, retry_after_s=7.0)
    assert breaker.is_open
    now[0] = 7.0
    assert not breaker.is_open
