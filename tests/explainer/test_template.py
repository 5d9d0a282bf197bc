"""What the template says of how sure it is."""

import dataclasses

import pytest

from services.explainer.model.explanation import NamedSuspect
from services.explainer.wording.checks import check
from services.explainer.wording.facts import Facts
from services.explainer.wording.template import worded
from tests.explainer.test_checks import facts

NAMES = ("web-1", "a-2", "b-3", "c-4")


def beside(*confidences: float) -> Facts:
    """The one suspect with .4, and others with these confidences."""
    alone = facts()
    (named,) = alone.suspects
    suspects = [
        NamedSuspect(
            suspect=dataclasses.replace(named.suspect, entity=entity, confidence=confidence),
            labels={},
        )
        for entity, confidence in zip(
            ("web-1", "a-2", "b-3", "c-4"), (0.4, *confidences), strict=False
        )
    ]
    return dataclasses.replace(alone, suspects=tuple(suspects))


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ((), ": "),
        ((0.1, 0.1), ": "),
        ((0.3, 0.1), ", hardly ahead of a-2: "),
        ((0.3, 0.3), ", hardly ahead of a-2 and b-3: "),
        ((0.39, 0.38, 0.3), ", hardly ahead of a-2, b-3 and others: "),
    ],
)
def test_suspects_that_cannot_be_told_apart_are_named_together(
    others: tuple[float, ...], said: str
) -> None:
    found = beside(*others)
    text = worded(found)
    assert text.root_cause.startswith(f"web-1 is the most likely cause{said}")
    assert not check(text, found, grounded=False).struck
