"""The names, numbers and ids that evidence allows a text to use."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from services.explainer.checks.instants import Instants, instants_of
from services.explainer.checks.known import KnownNames, Masked, fold, has_phrase, raw
from services.explainer.checks.units import SPOKEN
from services.explainer.model.evidence import Evidence, EvidenceKind
from services.explainer.model.names import ENTITY_LEVELS, is_name, plain, series_name
from services.explainer.wording.facts import Facts
from services.explainer.wording.figures import number_and_unit

_WORD: Final = re.compile(r"[A-Za-z][a-z]*|[^\W_]+")
_WHOLE_WORD: Final = re.compile(r"\w+")
_NAMING: Final = frozenset(
    {"__name__", "alertname", *(name for level in ENTITY_LEVELS for name in level)}
)
_ENTITY_LABELS: Final = frozenset(name for level in ENTITY_LEVELS for name in level)
_CALL: Final = re.compile(r", | calls | and more$")
_PORT: Final = re.compile(r":\d{1,5}$")
_HOST_LABELS: Final = frozenset({"instance", "host", "node"})
_FIRST_LABEL: Final = re.compile(r"[A-Za-z][\w-]{1,62}(?=\.[\w.-]*[A-Za-z])")
_QUOTABLE: Final = re.compile(r"[^\W\d_]{2}")
_SEVERAL_WORDS: Final = re.compile(r"\s|[./@:\d-]")
_IDENTIFIER: Final = re.compile(r"[A-Za-z][\w.:/@-]{0,128}\w")
_MADE_UP: Final = re.compile(r"[_/:@]|\w\.\w|[a-z][A-Z]")


_QUOTE: Final = re.compile(r"[\"\u201c]([^\"\u201c\u201d]{3,200})[\"\u201d]")
_QUOTES_MAX: Final = 30
_PORT_OF: Final = re.compile(r"(?<=[\w\]]:)\d{2,5}$")
_OF_METRIC: Final = {
    "percent": SPOKEN["%"],
    "per_second": ("per second", "/s"),
    "ms": ("ms", "milliseconds"),
    "milliseconds": ("ms", "milliseconds"),
}
_METRIC_UNIT: Final = re.compile(rf"(?<![^\W_])({'|'.join(_OF_METRIC)})$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A piece of evidence as texts may tell of it.

    Attributes:
        names: What it is about.
        entities: Those of them that are services, hosts and the like.
        numbers: Its figures as they are written, each with its unit.
    """

    evidence: Evidence
    names: frozenset[str]
    entities: frozenset[str]
    numbers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexicon:
    """What a sentence may use.

    Attributes:
        pieces: All evidence.
        quotable: The folded titles and labels of all evidence, each in a line.
        units_by_number: Each figure as it is written, with the words its unit may have; "" is
            among them where it has none.
        words: Lower-case words of all names, and their parts.
    """

    pieces: tuple[Piece, ...]
    quotable: str
    names: KnownNames
    instants: Instants
    evidence_ids: frozenset[str]
    units_by_number: dict[str, frozenset[str]]
    words: frozenset[str]

    def mask(self, text: str) -> Masked:
        """Takes the known names and times, and what it quotes of evidence, out of a text."""
        quoted = {found.start(1): found.end(1) for found in self._quotes_in(text)}
        return self.names.mask(text, quoted | self.instants.spans_in(text))

    def _quotes_in(self, text: str) -> Iterator[re.Match[str]]:
        for found in islice(_QUOTE.finditer(text), _QUOTES_MAX):
            told = fold(found[1])
            if is_name(told) and _QUOTABLE.search(told) and has_phrase(self.quotable, told):
                yield found


def lexicon_of(facts: Facts) -> Lexicon:
    """The lexicon of everything that was found."""
    pieces = tuple(_piece_of(each) for each in facts.evidence)
    quoted = {text for each in facts.evidence for text in _quotable(each)}
    names = {*_names(facts), *quoted, *(name for piece in pieces for name in piece.names)}
    names = {raw(name) for name in names if is_name(name)}
    names |= {f"port {port[0]}" for port in map(_PORT_OF.search, names) if port}
    units: dict[str, set[str]] = {}
    for piece in pieces:
        for (number, unit), figure in zip(piece.numbers, piece.evidence.figures, strict=True):
            spoken = SPOKEN.get(unit or figure.unit, (unit.lower(),) if unit else ())
            spoken = spoken or _of_metric(piece.evidence.labels.get("__name__", ""))
            units.setdefault(number, set()).update(spoken or ("",))
    whole = set(_WHOLE_WORD.findall("\n".join(names)))
    words = {*whole, *_WORD.findall("\n".join(whole))}
    return Lexicon(
        pieces=pieces,
        quotable=fold("\n".join(_lines(facts.evidence))),
        names=KnownNames(names),
        instants=instants_of(facts),
        evidence_ids=frozenset(piece.evidence_id for piece in facts.evidence),
        units_by_number={number: frozenset(said) for number, said in units.items()},
        words=frozenset(word.lower() for word in words),
    )


def _of_metric(metric: str) -> tuple[str, ...]:
    """Words for the unit that the name of a metric tells, where its figures have none."""
    found = _METRIC_UNIT.search(metric)
    return ("", *_OF_METRIC[found[1]]) if found else ()


def _lines(evidence: Iterable[Evidence]) -> Iterator[str]:
    for piece in evidence:
        yield from map(raw, (piece.title, *piece.labels.values()))


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
        entities=frozenset(_entities_of(evidence)),
        numbers=tuple(number_and_unit(figure) for figure in evidence.figures),
    )


def _names_of(piece: Evidence) -> Iterator[str]:
    yield from (piece.title, plain(piece.title, 200), series_name(piece.labels))
    yield from _label_names(piece.labels.items())
    if piece.kind is EvidenceKind.CHANGE:
        yield from (plain(piece.reference_id), piece.reference_id)
    if piece.kind is EvidenceKind.TOPOLOGY:
        yield from _CALL.split(piece.title)


def _entities_of(piece: Evidence) -> Iterator[str]:
    yield from _label_names(each for each in piece.labels.items() if each[0] in _ENTITY_LABELS)
    if piece.kind is EvidenceKind.TOPOLOGY:
        yield from _CALL.split(piece.title)


def _label_names(labels: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, value in labels:
        if name == "__name__" or (name in _NAMING and not any(map(str.isspace, value))):
            yield from (plain(value), value)
            host = _PORT.sub("", value)
            yield host
            if name in _HOST_LABELS and (short := _FIRST_LABEL.match(host)):
                yield short[0]


def _quotable(piece: Evidence) -> Iterator[str]:
    """What people or programs wrote: labels that are no names, and the texts of changes."""
    texts = [value for name, value in piece.labels.items() if name not in _NAMING]
    if piece.kind is EvidenceKind.CHANGE:
        texts += piece.title.split(": ", 1)[1:]
    for text in filter(_QUOTABLE.search, texts):
        if _SEVERAL_WORDS.search(text):
            yield from (text, plain(text))
        for found in _IDENTIFIER.findall(text):
            if _MADE_UP.search(found) and _QUOTABLE.search(found):
                yield from (found, found.rpartition(".")[2])
