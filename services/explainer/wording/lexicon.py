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
class Lexicon:
    """What a sentence may use.

    Attributes:
        units_by_number: Each figure as it is written, with the words its unit may have.
        words: Lower-case words of all names, and their parts.
    """

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
    names = {name for name in _names(facts) if is_name(name)}
    units: dict[str, set[str]] = {}
    for figure in (figure for piece in facts.evidence for figure in piece.figures):
        number, unit = number_and_unit(figure)
        spoken = SPOKEN.get(unit or figure.unit, (unit.lower(),) if unit else ())
        units.setdefault(number, set()).update(spoken)
    together = "\n".join(names)
    words = {*_WORD.findall(together), *_WHOLE_WORD.findall(together)}
    return Lexicon(
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
    for piece in facts.evidence:
        yield from names_of_piece(piece)


def names_of_piece(piece: Evidence) -> Iterator[str]:
    """What a piece of evidence is about, as texts may call it."""
    yield from (piece.title, plain(piece.title, 200), series_name(piece.labels))
    yield from _label_names(piece.labels.items())
    if piece.kind is EvidenceKind.CHANGE:
        yield plain(piece.reference_id)
    if piece.kind is EvidenceKind.TOPOLOGY:
        yield from _CALL.split(piece.title)


def _label_names(labels: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, value in labels:
        if name in _NAMING and not any(each.isspace() for each in value):
            yield plain(value)
