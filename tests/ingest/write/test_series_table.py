"""The dictionary of a sender."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.errors import InvalidInput
from services.ingest.model.definitions import definition
from services.ingest.model.labels import SeriesKey
from services.ingest.model.series_table import REFUSED, UNRESOLVED, SeriesTable
from services.ingest.model.writes import Definition
from tests.properties import examples

GOOD = [definition([("__name__", "up"), ("job", str(n))]) for n in range(30)]
BAD = definition([("job", "no name")])


@examples(60)
@given(
    st.lists(st.sampled_from([*GOOD, BAD]), max_size=40),
    st.lists(st.sampled_from([*GOOD, BAD]), max_size=5),
)
def test_a_body_has_the_slots_that_one_after_the_other_would_have(
    body: list[Definition], before: list[Definition]
) -> None:
    at_once, one_by_one = SeriesTable(100), SeriesTable(100)
    for definitions in (before, body):
        slots = at_once.add_all(definitions)
        assert slots.dtype == np.int32
        assert slots.tolist() == [*map(one_by_one.add, definitions)]
        assert np.unique(at_once.ids[slots]).tolist() in ([], [0], [-1], [-1, 0])
    sets = [each for each in dict.fromkeys(body) if isinstance(each, SeriesKey)]
    resolved = [at_once.add(each) for each in sets]
    assert at_once.digests(resolved) == [each.digest for each in sets]
    at_once.resolve((slot, 10 + slot, slot % 4) for slot in resolved)
    assert at_once.ids[resolved].tolist() == [10 + slot for slot in resolved]
    assert at_once.shards[resolved].tolist() == [slot % 4 for slot in resolved]
    slots = at_once.add_all(body)
    assert at_once.unresolved(slots) == []
    assert [at_once.ids[slot] == REFUSED for slot in slots] == [each is BAD for each in body]


@pytest.mark.parametrize("most", [29, 30])
def test_more_series_than_a_sender_may_have_are_refused(most: int) -> None:
    table = SeriesTable(most)
    if most < len(GOOD):
        with pytest.raises(InvalidInput, match="more than 29 series definitions"):
            table.add_all(GOOD)
    else:
        assert table.unresolved(table.add_all(GOOD)) == [*range(most)]
        assert set(table.ids.tolist()) == {UNRESOLVED}
