"""The names, numbers and ids that evidence allows a text to use."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from services.explainer.model.evidence import Evidence, EvidenceKind
from services.explainer.model.names import ENTITY_LEVELS, is_name, plain, series_name
from services.explainer.wording.facts import Facts
from services.explainer.wording.figures import number_and_unit
from services.explainer.wording.instants import Instants, instants_of
from services.explainer.wording.known import KnownNames, Masked
from services.explainer.wording.units import SPOKEN

_WORD: Final = re.compile(r"[A-Za-z][a-z]*|[A-Za-z]+|\w+")
_WHOLE_WORD: Final = re.compile(r"\w+")
_NAMING: Final = frozenset(
    {"__name__", "alertname", *(name for level in ENTITY_LEVELS for name in level)}
)
_CALL: Final = re.compile(r", | calls | and more$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A piece of evidence as texts may tell of it.

    Attributes:
        names: What it is about.
        numbers: Its figures as they are written, each with its unit.
    """

    evidence: Evidence
    names: frozenset[str]
    numbers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexicon:
    """What a sentence may use.

    Attributes:
        pieces: All evidence.
        units_by_number: Each figure as it is written, with the words its unit may have.
        words: Lower-case words of all names, and their parts.
    """

    pieces: tuple[Piece, ...]
    names: KnownNames
    instants: Instants
    evidence_ids: frozenset[str]
    units_by_number: dict[str, frozenset[str]]
    words: frozenset[str]

    def mask(self, text: str) -> Masked:
        """Takes the known names and times out of a text."""
        return self.names.mask(text, self.instants.spans_in(text))


def lexicon_of(facts: Facts) -> Lexicon:
    """The lexicon of everything that was found."""
    pieces = tuple(_piece_of(each) for each in facts.evidence)
    names = {*_names(facts), *(name for piece in pieces for name in piece.names)}
    names = {" ".join(name.split()) for name in names if is_name(name)}
    units: dict[str, set[str]] = {}
    for piece in pieces:
        for (number, unit), figure in zip(piece.numbers, piece.evidence.figures, strict=True):
            spoken = SPOKEN.get(unit or figure.unit, (unit.lower(),) if unit else ())
            units.setdefault(number, set()).update(spoken)
    whole = set(_WHOLE_WORD.findall("\n".join(names)))
    words = {*whole, *_WORD.findall("\n".join(whole))}
    return Lexicon(
        pieces=pieces,
        names=KnownNames(names),
        instants=instants_of(facts),
        evidence_ids=frozenset(piece.evidence_id for piece in facts.evidence),
        units_by_number={number: frozenset(said) for number, said in units.items()},
        words=frozenset(word.lower() for word in words),
    )


def _names(facts: Facts) -> Iterator[str]:
    subject = facts.subject
    yield from (subject.title, facts.reason and plain(facts.reason, 200))
    yield from _label_names(subject.labels.items())
    for named in facts.suspects:
        yield plain(named.suspect.entity)


def _piece_of(evidence: Evidence) -> Piece:
    return Piece(
        evidence=evidence,
        names=frozenset(_names_of(evidence)),
        numbers=tuple(number_and_unit(figure) for figure in evidence.figures),
    )


def _names_of(piece: Evidence) -> Iterator[str]:
    yield from (piece.title, plain(piece.title, 200), series_name(piece.labels))
    yield from _label_names(piece.labels.items())
    if piece.kind is EvidenceKind.CHANGE:
        yield plain(piece.reference_id)
    if piece.kind is EvidenceKind.TOPOLOGY:
        yield from _CALL.split(piece.title)


def _label_names(labels: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, value in labels:
        if name == "__name__" or (name in _NAMING and not any(map(str.isspace, value))):
            yield plain(value)
