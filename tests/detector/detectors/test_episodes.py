"""Faults that last, come again or stay: told once, and when they end."""

import numpy as np
import pytest

from services.detector.detectors.engine import Scores, Settings
from services.detector.detectors.episode import STAYS, USUAL_AGAIN
from tests.detector.detectors import made


def test_a_spike_is_seen_at_once_and_told_once() -> None:
    values = np.random.default_rng(1).normal(0, 1, 1000)
    values[900:905] += 30
    scores = made.engine(1).process(*made.one(list(values)))
    assert scores.alert[900] > 0.5
    assert scores.raw[900] > 0.95
    assert (scores.alert[905:] > 0.3).sum() == 0


def twice(gap: int) -> Scores:
    """Two outages of ten minutes, so many minutes apart, after two days of a sample a minute."""
    values = np.random.default_rng(8).normal(100.0, 3.0, 3600)
    values[3000:3010] = values[3010 + gap : 3020 + gap] = 5.0
    return made.engine(1, Settings(alerts_per_week=4)).process(*made.one(list(values)))


@pytest.mark.parametrize("gap", [15, 30, 120])
def test_a_second_outage_is_as_strange_as_the_first_and_heard_again(gap: int) -> None:
    scores = twice(gap)
    assert scores.alert[3000:3010].max() >= 0.8
    assert scores.alert[3010 + gap : 3020 + gap].max() >= 0.8
    assert not scores.alert[3012 : 3010 + gap].any()


def test_the_score_falls_when_an_episode_ends_and_tells_that_it_did() -> None:
    scores = twice(120)
    assert scores.raw[3000:3010].min() > 0.97
    assert scores.raw[3012:3100].max() < 0.97
    assert np.flatnonzero(scores.ended).tolist() == [3011, 3141]
    assert set(scores.ended[scores.ended > 0].tolist()) == {USUAL_AGAIN}


def test_a_new_level_that_stays_ends_its_episode_and_the_way_back_is_no_fault() -> None:
    values = np.random.default_rng(8).normal(100.0, 3.0, 3600)
    values[3000:3200] += 80.0
    scores = made.engine(1, Settings(alerts_per_week=4)).process(*made.one(list(values)))
    assert np.flatnonzero(scores.alert[2900:])[0] <= 101
    assert scores.ended[3000:3030].max() == STAYS
    assert not scores.alert[3030:].any()


def test_what_comes_back_every_day_is_learnt() -> None:
    values = np.random.default_rng(8).normal(100.0, 3.0, 14 * 1440)
    for day in range(14):
        values[day * 1440 + 100 : day * 1440 + 110] = 300.0
    scores = made.engine(1, Settings(alerts_per_week=4)).process(*made.one(list(values)))
    assert np.count_nonzero(scores.alert[6 * 1440 :]) == 0
