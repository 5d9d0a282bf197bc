"""Senders that go wrong: bounded, no storm, and nothing is lost of the series beside them."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from services.detector.detectors.engine import Scores, Settings
from tests.detector.detectors import made

TICKS, TURN = 2400, 1200
SHIPPED = Settings(alerts_per_week=4.0)

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Random = np.random.Generator
Series = tuple[I64, F64]
MINUTES: I64 = made.START_MS + np.arange(TICKS, dtype=np.int64) * made.MINUTE_MS
LATER = np.arange(TICKS) >= TURN


def gauge(random: Random) -> F64:
    return 50.0 + random.normal(0.0, 2.0, TICKS)


def counter(random: Random) -> F64:
    return np.cumsum(random.poisson(300.0, TICKS)).astype(np.float64)


def wrapping_counter(random: Random) -> Series:
    return MINUTES, (4_294_000_000.0 + counter(random)) % 2.0**32


def gauge_that_becomes_a_counter(random: Random) -> Series:
    return MINUTES, np.where(LATER, 50.0 + np.cumsum(LATER * random.poisson(9.0, TICKS)), 0.0) + (
        np.where(LATER, 0.0, gauge(random))
    )


def two_senders(random: Random) -> Series:
    """From the turn on another one sends under the same name, seconds later, at its own level."""
    times = np.concatenate([MINUTES, MINUTES[TURN:] + 7_000])
    values = np.concatenate([gauge(random), 20.0 + gauge(random)[TURN:]])
    order = np.argsort(times, kind="stable")
    return times[order], values[order]


def ten_times_as_often(random: Random) -> Series:
    steps = np.where(LATER, made.MINUTE_MS // 10, made.MINUTE_MS)
    return made.START_MS + np.cumsum(steps), gauge(random)


def ten_times_as_seldom(random: Random) -> Series:
    return made.START_MS + np.cumsum(np.where(LATER, 10, 1) * made.MINUTE_MS), gauge(random)


def another_unit(random: Random) -> Series:
    return MINUTES, np.where(LATER, 1000.0, 1.0) * gauge(random)


def a_hole_of_a_week(random: Random) -> Series:
    return MINUTES + LATER * 7 * 86_400_000, gauge(random)


def backfill_in_reverse(random: Random) -> Series:
    return np.concatenate([MINUTES[:TURN], MINUTES[:TURN][::-1]]), gauge(random)


KINDS: list[tuple[Callable[[Random], Series], int]] = [
    (wrapping_counter, 0),
    (gauge_that_becomes_a_counter, 2),
    (two_senders, 2),
    (ten_times_as_often, 0),
    (ten_times_as_seldom, 0),
    (another_unit, 2),
    (a_hole_of_a_week, 0),
    (backfill_in_reverse, 0),
]
every_kind = pytest.mark.parametrize(
    ("bad", "warnings"), KINDS, ids=[make.__name__ for make, _ in KINDS]
)


def scored(series: list[Series]) -> list[Scores]:
    """Scores of each series, all sent side by side in one stream."""
    engine = made.engine(len(series), SHIPPED)
    place = np.concatenate([np.arange(len(times)) for times, _ in series])
    rows = np.concatenate([np.full(len(t), n, np.int32) for n, (t, _) in enumerate(series)])
    order = np.argsort(place, kind="stable")
    times, values = (np.concatenate(columns)[order] for columns in zip(*series, strict=True))
    found = engine.process(rows[order], times, values)
    return [made.chosen(found, rows[order] == n) for n in range(len(series))]


@every_kind
@pytest.mark.parametrize("seed", range(3))
def test_a_bad_series_gives_few_warnings_and_stays_in_range(
    bad: Callable[[Random], Series], warnings: int, seed: int
) -> None:
    found = scored([bad(np.random.default_rng(seed))])[0]
    assert np.count_nonzero(found.alert >= 0.8) <= warnings
    assert np.count_nonzero(found.alert) <= warnings + 1
    assert np.nanmin(found.raw) >= 0.0
    assert np.nanmax(found.raw) < 1.0


@every_kind
def test_a_bad_series_changes_nothing_of_the_one_beside_it(
    bad: Callable[[Random], Series], warnings: int
) -> None:
    random = np.random.default_rng(9)
    spiked = gauge(random)
    spiked[TURN + 100 : TURN + 110] += 60.0
    alone = scored([(MINUTES, spiked)])[0]
    beside = scored([bad(random), (MINUTES, spiked)])[1]
    made.assert_same(alone, beside)
    assert alone.alert[TURN + 100 : TURN + 103].max() >= 0.8


def test_what_was_refused_changes_nothing() -> None:
    """History that comes after its future, in whatever order, is neither scored nor learnt."""
    values = gauge(np.random.default_rng(4))
    once, twice = made.engine(1), made.engine(1)
    row = np.zeros(TICKS, np.int32)
    once.process(row, MINUTES, values)
    twice.process(row, MINUTES, values)
    refused = twice.process(row, MINUTES[::-1].copy(), 9.0 * values)
    assert np.isnan(refused.raw).all()
    assert not refused.alert.any()
    assert once.export_rows(row[:1]) == twice.export_rows(row[:1])
