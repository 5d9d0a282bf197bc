"""Texts and label sets that are remembered, and what happens when there are too many."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.errors import InvalidInput
from services.ingest.histograms import HistogramSteps
from services.ingest.label_sets import LabelSets
from services.ingest.model.definitions import definition
from services.ingest.model.labels import (
    MAX_LABELS,
    MAX_NAME_CHARS,
    MAX_VALUE_BYTES,
    LabelsRefused,
    checked,
)
from services.ingest.wire.fields import Spans
from services.ingest.wire.texts import Texts
from tests.properties import examples


def spans_of(texts: list[bytes]) -> tuple[bytes, Spans]:
    """The texts one after the other."""
    ends = np.cumsum([0, *map(len, texts)])
    return b"".join(texts), Spans(np.arange(len(texts)), ends[:-1], ends[1:])


@examples(60)
@given(bodies=st.lists(st.lists(st.binary(max_size=20), max_size=8), max_size=12))
def test_a_number_is_one_text_for_ever(bodies: list[list[bytes]]) -> None:
    """Room for eight: a ninth begins a generation, and no number ever means another text."""
    known, meant = Texts(8), dict[int, bytes]()
    for texts in bodies:
        numbers = known.numbers(*spans_of(texts)).tolist()
        assert len(set(numbers)) == len(set(texts))
        for number, text in zip(numbers, texts, strict=True):
            assert meant.setdefault(number, text) == text


def test_what_is_known_keeps_its_number() -> None:
    known = Texts(8)
    first = known.numbers(*spans_of([b"a", b"", b"b" * 17, b"a"])).tolist()
    assert first == [0, 1, 2, 0]
    assert known.numbers(*spans_of([b"b" * 17, b"c", b""])).tolist() == [2, 3, 1]


def test_label_sets_are_read_once_until_they_are_forgotten() -> None:
    sets, read = LabelSets(most=4), list[bytes]()

    def ask(*texts: bytes) -> list[str]:
        body, spans = spans_of(list(texts))

        def made(places: list[int]) -> list[object]:
            read.extend(texts[place] for place in places)
            return [definition([("__name__", texts[place].decode())]) for place in places]

        return [known.labels[0][1] for known in sets.of(body, spans, made)]

    assert ask(b"a", b"b", b"a") == ["a", "b", "a"]
    assert ask(b"c", b"b", b"d") == ["c", "b", "d"]
    assert read == [b"a", b"b", b"c", b"d"]
    assert ask(b"e", b"a") == ["e", "a"]  # a fifth begins a generation
    assert ask(b"a", b"e", b"b") == ["a", "e", "b"]  # what is met again is kept
    assert ask(b"f", b"g", b"a", b"b") == ["f", "g", "a", "b"]  # and another, with c and d gone
    assert ask(b"c", b"a") == ["c", "a"]
    assert read[4:] == [b"e", b"f", b"g", b"c"]


def test_label_sets_of_long_texts_are_forgotten_sooner() -> None:
    """A short ref may stand for a long text: what is kept is bounded by the texts."""
    sets, read = LabelSets(most=100, most_text_bytes=3000), list[int]()

    def ask(number: int) -> None:
        def made(places: list[int]) -> list[object]:
            read.append(number)
            return [definition([("__name__", "up"), ("l", "x" * 1000 + str(number))])]

        sets.of(*spans_of([bytes([number])]), made)

    for number in (*range(3), *range(3), 3, 2, 4, 5, 6, 2, 0):
        ask(number)
    assert read == [0, 1, 2, 3, 4, 5, 6, 0]


def test_series_of_a_histogram_with_long_texts_are_forgotten_sooner() -> None:
    steps = HistogramSteps(most_bytes=10_000)
    short = definition([("__name__", "a")])
    long = definition([("__name__", "b"), *((f"l{n}", "x" * 2000) for n in range(4))])
    first = steps.parts(short)
    assert steps.parts(short) is first
    steps.parts(long)
    assert steps.parts(short) is not first


def test_a_body_that_cannot_be_read_leaves_the_next_one_alone() -> None:
    """Its texts have numbers but no label sets: none may be given to a text of the next body."""
    sets = LabelSets(most=64)

    def fails(places: list[int]) -> list[object]:
        raise InvalidInput("broken", reason="BODY_BROKEN")

    body, spans = spans_of([b"x", b"y", b"z"])
    with pytest.raises(InvalidInput):
        sets.of(body, spans, fails)
    texts = [b"new", b"z", b"x", b"y"]
    body, spans = spans_of(texts)
    found = sets.of(
        body,
        spans,
        lambda places: [definition([("__name__", texts[place].decode())]) for place in places],
    )
    assert [known.labels[0][1] for known in found] == ["new", "z", "x", "y"]


LONGEST = "€" * (MAX_VALUE_BYTES // 3) + "." * (MAX_VALUE_BYTES % 3)


@pytest.mark.parametrize(
    ("pairs", "refused"),
    [
        ([("b", "2"), ("a", "1")], ""),
        ([("a", ""), ("", "")], ""),
        ([(f"n{n}", "1") for n in range(MAX_LABELS - 1)], ""),
        ([(f"n{n}", "1") for n in range(MAX_LABELS)], f"{MAX_LABELS + 1} labels: send at most"),
        ([("n" * MAX_NAME_CHARS, "1")], ""),
        ([("n" * (MAX_NAME_CHARS + 1), "1")], "use at most 128 characters"),
        ([("a\0", "1")], "label name 'a\\x00': the NUL"),
        ([("a", "1\0")], "value of label 'a': the NUL"),
        ([("a", "v" * MAX_VALUE_BYTES)], ""),
        ([("a", LONGEST)], ""),
        ([("a", LONGEST + ".")], "value of label 'a': at most 2048 bytes"),
        ([("b", "1"), ("a", "1"), ("b", "2")], "label 'b' comes twice"),
        ([("b", "1"), ("b", "")], ""),
    ],
)
def test_a_label_set_is_sorted_or_says_what_is_wrong(
    pairs: list[tuple[str, str]], refused: str
) -> None:
    assert len(LONGEST.encode()) == MAX_VALUE_BYTES
    if refused:
        with pytest.raises(LabelsRefused) as caught:
            checked([*pairs, ("__name__", "up")], required="__name__")
        assert refused in str(caught.value)
    else:
        kept = [pair for pair in pairs if all(pair)]
        named = checked([*pairs, ("__name__", "up")], required="__name__")
        assert named == tuple(sorted([*kept, ("__name__", "up")]))
        with pytest.raises(LabelsRefused, match="'__name__' is missing: add it"):
            checked(pairs, required="__name__")
