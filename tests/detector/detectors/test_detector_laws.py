"""Laws that every context of the engine keeps."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.detector import detectors
from services.detector.detectors import contexts, novelty
from services.detector.detectors.contexts import FEATURES
from services.detector.detectors.sample import Reach, Sample
from tests.properties import examples

MODULES = sorted(path.stem for path in Path(detectors.__path__[0]).glob("*.py"))
CELL = st.integers(-(10**15), 10**15)
REACH = st.builds(Reach, low=CELL, high=CELL)
SAMPLE = st.builds(
    Sample,
    value=CELL,
    last=CELL,
    before=CELL,
    change=CELL,
    offset=CELL,
    quarter=st.integers(0, 3),
    weekend=st.integers(0, 1),
    values=REACH,
    changes=REACH,
    offsets=REACH,
)
every_context = pytest.mark.parametrize("index", range(len(FEATURES)), ids=FEATURES)


def _fresh() -> np.void:
    return np.zeros(1, contexts.STATE)[0]


def _score(state: np.void, sample: Sample, index: int) -> float:
    found = np.zeros(len(FEATURES), np.float32)
    contexts.meet(state, sample, found, np.zeros(1, novelty.MET)[0])
    return float(found[index])


def _learn(state: np.void, sample: Sample) -> None:
    met = np.zeros(1, novelty.MET)[0]
    contexts.meet(state, sample, np.zeros(len(FEATURES), np.float32), met)
    contexts.learn(state, sample, met)


def _rescale(state: np.void, steps: int) -> None:
    contexts.rescale_values(state, steps)
    contexts.rescale_changes(state, steps)
    contexts.rescale_offsets(state, steps)


def _usual(seed: int = 0) -> list[Sample]:
    """Two hundred samples that stay within a few cells."""
    cells = np.random.default_rng(seed).integers(0, 12, (200, 5)).tolist()
    return [Sample(*row, quarter=n % 4, weekend=n // 100) for n, row in enumerate(cells)]


@every_context
@given(st.lists(SAMPLE, max_size=40), SAMPLE)
@examples(20)
def test_score_is_finite_not_negative_and_changes_nothing(
    index: int, learnt: list[Sample], asked: Sample
) -> None:
    state = _fresh()
    for sample in learnt:
        _learn(state, sample)
    before = state.tobytes()
    score = _score(state, asked, index)
    assert np.isfinite(score)
    assert score >= 0
    assert state.tobytes() == before
    assert _score(state, asked, index) == score


def test_the_same_samples_give_the_same_state() -> None:
    left, right = _fresh(), _fresh()
    for sample in _usual():
        _learn(left, sample)
        _learn(right, sample)
    assert left.tobytes() == right.tobytes()


@every_context
def test_a_context_that_has_seen_nothing_is_not_surprised(index: int) -> None:
    assert _score(_fresh(), Sample(value=7, change=7, offset=7), index) == 0


@every_context
def test_what_was_never_seen_surprises_more_than_what_was(index: int) -> None:
    state = _fresh()
    usual, far = Sample(value=2, last=2), Sample(999, -999, -999, 999, 999)
    for _ in range(300):
        _learn(state, usual)
    assert _score(state, far, index) > _score(state, usual, index) == 0


@every_context
def test_a_small_change_of_level_keeps_what_was_learnt(index: int) -> None:
    """After the cells doubled, the same samples in the new cells are mostly known."""
    state = _fresh()
    for sample in _usual():
        _learn(state, sample)
    _rescale(state, 1)
    halved = [Sample(*(c >> 1 for c in s[:5]), s.quarter, s.weekend) for s in _usual()]
    known = np.mean([_score(state, sample, index) for sample in halved])
    assert known < 0.1


@every_context
@pytest.mark.parametrize("steps", [-9, 9])
def test_a_great_change_of_level_starts_over(index: int, steps: int) -> None:
    state = _fresh()
    for sample in _usual():
        _learn(state, sample)
    _rescale(state, steps)
    assert not any(_score(state, sample, index) for sample in _usual(seed=1))


@every_context
def test_noise_that_is_always_new_soon_surprises_little(index: int) -> None:
    """A table three quarters full starts over, so no context goes blind or loud for good."""
    state, random = _fresh(), np.random.default_rng(0)
    cells = random.integers(-(10**6), 10**6, (3000, 5)).tolist()
    surprise = []
    for row in cells:
        sample = Sample(*row)
        surprise.append(_score(state, sample, index))
        _learn(state, sample)
    assert np.mean(surprise[-500:]) < 0.5
