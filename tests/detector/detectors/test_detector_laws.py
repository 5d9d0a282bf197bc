"""Laws that every detector of the engine keeps."""

import doctest
import importlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.detector import detectors
from services.detector.detectors.contexts import CONTEXTS, FEATURES, Detector
from services.detector.detectors.sample import Reach, Sample

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
every_detector = pytest.mark.parametrize("detector", CONTEXTS.values(), ids=FEATURES)


def _fresh(detector: Detector) -> np.void:
    return np.zeros(1, detector.STATE)[0]


def _usual(seed: int = 0) -> list[Sample]:
    """Two hundred samples that stay within a few cells."""
    cells = np.random.default_rng(seed).integers(0, 12, (200, 5)).tolist()
    return [Sample(*row, quarter=n % 4, weekend=n // 100) for n, row in enumerate(cells)]


@every_detector
@given(st.lists(SAMPLE, max_size=40), SAMPLE)
@settings(max_examples=20, deadline=None)
def test_score_is_finite_not_negative_and_changes_nothing(
    detector: Detector, learnt: list[Sample], asked: Sample
) -> None:
    state = _fresh(detector)
    for sample in learnt:
        detector.learn(state, sample)
    before = state.tobytes()
    score = detector.score(state, asked)
    assert np.isfinite(score)
    assert score >= 0
    assert state.tobytes() == before
    assert detector.score(state, asked) == score


@every_detector
def test_the_same_samples_give_the_same_state(detector: Detector) -> None:
    left, right = _fresh(detector), _fresh(detector)
    for sample in _usual():
        detector.learn(left, sample)
        detector.learn(right, sample)
    assert left.tobytes() == right.tobytes()


@every_detector
def test_a_detector_that_has_seen_nothing_is_not_surprised(detector: Detector) -> None:
    assert detector.score(_fresh(detector), Sample(value=7, change=7, offset=7)) == 0


@every_detector
def test_what_was_never_seen_surprises_more_than_what_was(detector: Detector) -> None:
    state = _fresh(detector)
    usual, far = Sample(value=2, last=2), Sample(999, -999, -999, 999, 999)
    for _ in range(300):
        detector.learn(state, usual)
    assert detector.score(state, far) > detector.score(state, usual) == 0


@every_detector
def test_a_small_change_of_level_keeps_what_was_learnt(detector: Detector) -> None:
    """After the cells doubled, the same samples in the new cells are mostly known."""
    state = _fresh(detector)
    for sample in _usual():
        detector.learn(state, sample)
    detector.rescale(state, 1)
    halved = [Sample(*(c >> 1 for c in s[:5]), s.quarter, s.weekend) for s in _usual()]
    known = np.mean([detector.score(state, sample) for sample in halved])
    assert known < 0.1


@every_detector
@pytest.mark.parametrize("steps", [-9, 9])
def test_a_great_change_of_level_starts_over(detector: Detector, steps: int) -> None:
    state = _fresh(detector)
    for sample in _usual():
        detector.learn(state, sample)
    detector.rescale(state, steps)
    assert not any(detector.score(state, sample) for sample in _usual(seed=1))


@every_detector
def test_noise_that_is_always_new_soon_surprises_little(detector: Detector) -> None:
    """A table three quarters full starts over, so no detector goes blind or loud for good."""
    state, random = _fresh(detector), np.random.default_rng(0)
    cells = random.integers(-(10**6), 10**6, (3000, 5)).tolist()
    surprise = []
    for row in cells:
        sample = Sample(*row)
        surprise.append(detector.score(state, sample))
        detector.learn(state, sample)
    assert np.mean(surprise[-500:]) < 0.5


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_hold(name: str) -> None:
    module = importlib.import_module(f"services.detector.detectors.{name}")
    assert doctest.testmod(module).failed == 0
