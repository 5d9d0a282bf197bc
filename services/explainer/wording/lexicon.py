"""The names, numbers and ids that evidence allows a text to use."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from services.explainer.model.evidence import Evidence
from services.explainer.model.names import ENTITY_LEVELS, is_name, plain, series_name
from services.explainer.wording.facts import Facts
from services.explainer.wording.figures import number_and_unit, shown_time

_MARK: Final = 0xF0000
_MARKS: Final = 60_000
_WORD = re.compile(r"[A-Za-z][a-z]*|[A-Za-z]+|\w+")
_SPOKEN: Final = {
    "s": ("s", "sec", "second", "seconds"),
    "%": ("%", "percent"),
    "°C": ("°c", "celsius", "degrees"),
    "1": ("times", "x", "sigma", "sigmas"),
}
_UNITS: Final = """
ms us ns µs m min minute minutes h hour hours day days week weeks k kb mb gb tb kib mib gib tib
b byte bytes million billion thousand trillion hz khz mhz ghz fold pp
"""
_OTHER_UNITS: Final = frozenset(_UNITS.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Masked:
    """A text in which each known name is one private character."""

    text: str
    names: tuple[str, ...]

    def restore(self, part: str) -> str:
        """The part with its names back in place."""
        return "".join(
            self.names[ord(each) - _MARK] if ord(each) >= _MARK else each for each in part
        ).strip()

    def names_in(self, part: str) -> list[str]:
        """The names in a part of the text."""
        return [self.names[ord(each) - _MARK] for each in part if ord(each) >= _MARK]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexicon:
    """What a sentence may use.

    Attributes:
        units_by_number: Each figure as it is written, with the words its unit may have.
        words: Lower-case words of all names.
        unit_words: Lower-case words that are units wherever they follow a number.
    """

    pattern: re.Pattern[str]
    evidence_ids: frozenset[str]
    units_by_number: dict[str, frozenset[str]]
    words: frozenset[str]
    unit_words: frozenset[str]

    def mask(self, text: str) -> Masked:
        """Takes the known names out of a text, the longest first."""
        names: list[str] = []

        def mark(found: re.Match[str]) -> str:
            if len(names) >= _MARKS:
                return found[0]
            names.append(found[0])
            return chr(_MARK + len(names) - 1)

        return Masked(text=self.pattern.sub(mark, text), names=tuple(names))

    def has_name(self, masked: str) -> bool:
        """Whether a masked text has a known name."""
        return any(ord(each) >= _MARK for each in masked)


def lexicon_of(facts: Facts) -> Lexicon:
    """The lexicon of everything that was found."""
    names = sorted({name for name in _names(facts) if is_name(name)}, key=len, reverse=True)
    choices = "|".join(re.escape(name) for name in names) or r"(?!)"
    units: dict[str, set[str]] = {}
    for figure in (figure for piece in facts.evidence for figure in piece.figures):
        number, unit = number_and_unit(figure)
        spoken = _SPOKEN.get(unit or figure.unit, (unit.lower(),) if unit else ())
        units.setdefault(number, set()).update(spoken)
    return Lexicon(
        pattern=re.compile(rf"(?<!\w)(?:{choices})(?!\w)", re.IGNORECASE),
        evidence_ids=frozenset(piece.evidence_id for piece in facts.evidence),
        units_by_number={number: frozenset(said) for number, said in units.items()},
        words=frozenset(word.lower() for name in names for word in _WORD.findall(name)),
        unit_words=_OTHER_UNITS | {word for words in _SPOKEN.values() for word in words},
    )


def _names(facts: Facts) -> Iterator[str]:
    subject = facts.subject
    yield from (
        subject.title,
        facts.reason and plain(facts.reason, 200),
        shown_time(subject.event_ms),
    )
    yield from _label_names(subject.labels.items())
    for named in facts.suspects:
        yield plain(named.suspect.entity)
    for piece in facts.evidence:
        yield from (shown_time(piece.start_ms), shown_time(piece.end_ms))
        yield from names_of_piece(piece)


def names_of_piece(piece: Evidence) -> Iterator[str]:
    """What a piece of evidence is about, as texts may call it."""
    yield from (piece.title, plain(piece.title, 200), series_name(piece.labels))
    yield from _label_names(piece.labels.items())


def _label_names(labels: Iterable[tuple[str, str]]) -> Iterator[str]:
    naming = {"__name__", "alertname", *(name for level in ENTITY_LEVELS for name in level)}
    for name, value in labels:
        if name in naming and not any(each.isspace() for each in value):
            yield plain(value)
