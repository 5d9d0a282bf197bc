"""How long a series may be silent, and what teaches that."""

import numpy as np
import pytest

from tests.detector.detectors import made


def test_patience_before_a_sample_is_what_the_engine_said_after_the_one_before() -> None:
    made_engine, (rows, times, values) = made.engine(1), made.one([1.0] * 500)
    late = np.random.default_rng(3).integers(0, 200 * made.MINUTE_MS, 500).astype(np.int64)
    arrived = np.maximum.accumulate(times + late)
    for at in range(500):
        one = slice(at, at + 1)
        known = [made_engine.arrivals_ms(), made_engine.patience_ms(), made_engine.pauses_ms(),
                 made_engine.delays_ms()]  # fmt: skip
        scores = made_engine.process(rows[one], times[one], values[one], arrived[one])
        quiet, *others = scores.silence_ms[0]
        if at:
            assert [arrived[at] - quiet, *others] == [each[0] for each in known]
        else:
            assert np.isnan([quiet, *others]).all()


def patience_after(*arrivals_ms: int) -> float:
    """Of a series that sends each second for 500 seconds, and then arrives so much later."""
    made_engine, row = made.engine(1), np.zeros(1, np.int32)
    times = made.START_MS + np.arange(500, dtype=np.int64) * 1000
    made_engine.process(np.zeros(500, np.int32), times, np.ones(500))
    now_ms = int(times[-1])
    for later in arrivals_ms:
        now_ms += later
        made_engine.process(row, np.array([now_ms]), np.ones(1))
    return float(made_engine.patience_ms()[0])


HOUR = made.HOUR_MS


def test_one_outage_teaches_nothing_and_what_comes_again_is_expected() -> None:
    assert patience_after() == 60_000
    assert patience_after(24 * HOUR) == 60_000
    assert patience_after(24 * HOUR, *[1000] * 50) == 60_000
    assert patience_after(HOUR, HOUR) == pytest.approx(3 * HOUR)
    assert patience_after(16 * HOUR, *[60_000] * 480, 16 * HOUR) > 40 * HOUR


def test_history_that_arrives_at_once_teaches_the_rhythm_of_its_own_times() -> None:
    made_engine, (rows, times, values) = made.engine(1), made.one([1.0] * 180)
    every_two_minutes = made.START_MS + 2 * (times - made.START_MS)
    made_engine.process(rows, every_two_minutes, values, np.full(180, every_two_minutes[-1]))
    assert made_engine.patience_ms()[0] == 6 * made.MINUTE_MS


def test_pauses_are_forgotten_with_time() -> None:
    day = [60_000] * 1440
    assert patience_after(HOUR, HOUR, *day) == pytest.approx(180_000)
