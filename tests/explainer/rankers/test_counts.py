"""Counts of bad events are judged by statistics of their own."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.explainer.model.ranking import Ranking
from services.explainer.rankers.counts import RareEvents, surprise
from tests.explainer.rankers.cases import OBSERVED, USUAL, case, counted, series
from tests.properties import examples


def first(found: Ranking) -> str:
    """The most suspect service that is suspect at all."""
    return found.suspects[0].entity if found.suspects and found.suspects[0].score else ""


def test_a_few_lines_that_never_came_are_seen_after_one_minute_of_past() -> None:
    lines = counted("db", "log_errors", usual=[0], observed=4)
    assert first(RareEvents().rank(case(lines))) == "db"


def test_lines_that_always_come_are_not_suspect() -> None:
    lines = counted("db", "log_errors", usual=4, observed=4)
    assert first(RareEvents().rank(case(lines))) == ""


def test_the_deepest_service_that_shows_errors_comes_first() -> None:
    shown = [
        counted(service, "log_errors", usual=0, observed=observed)
        for service, observed in {"front": 9, "cart": 9, "db": 9}.items()
    ]
    ranks = RareEvents().rank(case(*shown))
    assert [s.entity for s in ranks.suspects if s.score] == ["db"]


def test_twice_the_errors_at_twice_the_traffic_are_usual() -> None:
    lines = counted("db", "log_errors", usual=3, observed=6)
    requests = counted("db", "requests_total", usual=100, observed=200)
    assert first(RareEvents().rank(case(lines))) == "db"
    assert first(RareEvents().rank(case(lines, requests))) == ""


def test_bytes_are_no_requests() -> None:
    lines = counted("db", "log_errors", usual=3, observed=6)
    moved = counted("db", "network_receive_bytes_total", usual=100, observed=200)
    assert first(RareEvents().rank(case(lines, moved))) == "db"


def test_the_same_errors_at_a_tenth_of_the_traffic_are_many() -> None:
    lines = counted("db", "log_errors", usual=3, observed=3)
    requests = counted("db", "requests_total", usual=100, observed=10)
    assert first(RareEvents().rank(case(lines, requests))) == "db"


def test_bursts_that_come_again_and_again_are_usual() -> None:
    bursty = ([0] * 15 + [40] * 5) * (USUAL // 20)
    even = counted("db", "log_errors", usual=10, observed=20)
    burst = counted("db", "log_errors", usual=bursty, observed=20)
    assert surprise(burst, {}) < surprise(even, {}) / 4


def test_an_earlier_outage_hides_no_later_one() -> None:
    past = [0] * 60 + [50] * 5 + [0] * (USUAL - 65)
    lines = counted("db", "log_errors", usual=past, observed=50)
    assert surprise(lines, {}) > 10


def test_only_minutes_that_are_known_to_be_fault_free_tell_what_is_usual() -> None:
    lines = counted("db", "log_errors", usual=[*[9] * 10, *[0] * 30], observed=5)
    known = replace(lines, fault_free=np.arange(lines.values.size) == 39)
    assert surprise(known, {}) > surprise(lines, {})


@pytest.mark.parametrize("metric", ["container_restarts_total", "http_5xx_total", "exceptions"])
def test_every_count_of_what_should_not_happen_is_looked_at(metric: str) -> None:
    assert first(RareEvents().rank(case(counted("db", metric, observed=5)))) == "db"


def test_a_rate_without_counts_is_left_to_the_other_rankers() -> None:
    assert RareEvents().rank(case(series("db", "error_ratio", observed=90.0))).suspects == ()


@examples(30)
@given(past=st.lists(st.integers(0, 30), min_size=1, max_size=3), more=st.integers(1, 50))
def test_the_size_is_that_of_the_least_likely_exact_tail(past: Sequence[int], more: int) -> None:
    """Recomputed term by term from the negative binomial distribution, since each sample."""
    tails = [_tail(n * more, n / (n + len(past)), sum(past) + 0.5) for n in range(1, OBSERVED + 1)]
    size = surprise(counted("db", "log_errors", usual=past, observed=more), {})
    if size < 5:
        least = min(min(tails) * OBSERVED, 0.5)
        assert 0.5 * math.erfc(size / math.sqrt(2)) == pytest.approx(least, abs=1e-6)


def _tail(seen: int, share: float, shape: float) -> float:
    """Probability of so many events or more in a share of all time."""
    return 1 - sum(
        math.exp(
            math.lgamma(k + shape)
            - math.lgamma(shape)
            - math.lgamma(k + 1)
            + shape * math.log(1 - share)
            + k * math.log(share)
        )
        for k in range(seen)
    )


def test_errors_that_begin_late_are_as_surprising_as_early_ones() -> None:
    late = counted("db", "log_errors", observed=0)
    late.events[-1] = late.values[-1] = 12  # type: ignore[index]
    spread = counted("db", "log_errors", observed=12 // OBSERVED)
    assert surprise(late, {}) > surprise(spread, {})
