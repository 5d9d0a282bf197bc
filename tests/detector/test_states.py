"""Stored states of series: one damaged byte is noticed, and costs that series alone."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.detector.model.checkpoints import StoredSeries
from services.detector.shards.states import import_states, state_of_rows
from tests.detector.detectors import made

SERIES = 3


def stored(states: list[bytes]) -> list[StoredSeries]:
    return [
        StoredSeries(row_number=n, series_id=n, labels={}, state=state, warm=True)
        for n, state in enumerate(states)
    ]


@given(st.data())
def test_a_damaged_state_is_left_aside(data: st.DataObject) -> None:
    first = made.engine(SERIES)
    first.process(*made.stream(SERIES, ticks=60))
    rows = np.arange(SERIES, dtype=np.int32)
    states = state_of_rows(first, rows)
    victim = data.draw(st.integers(0, SERIES - 1))
    place = data.draw(st.integers(0, len(states[victim]) - 1))
    flipped = bytearray(states[victim])
    flipped[place] ^= 1 << data.draw(st.integers(0, 7))
    states[victim] = bytes(flipped)
    second = made.engine(SERIES)
    assert import_states(second, stored(states)) == [victim]
    newest_ms = second.newest_ms().tolist()
    assert [newest > 0 for newest in newest_ms] == [n != victim for n in range(SERIES)]
