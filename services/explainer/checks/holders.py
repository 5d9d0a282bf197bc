"""What each piece of evidence is about and what it tells, looked up by what a sentence says.

Sets of pieces are bits of an integer: a sentence costs what its words cost.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations
from operator import or_

from services.explainer.checks.instants import Instants
from services.explainer.checks.known import fold, raw
from services.explainer.checks.lexicon import Lexicon, Piece
from services.explainer.checks.offsets import AFTER, BEFORE, Event
from services.explainer.model.evidence import Evidence, EvidenceKind, Figure
from services.explainer.model.subjects import SubjectFacts

BASELINE = "baseline"
OBSERVED = "observed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holders:
    """All evidence; each value is a set of pieces, one bit for each.

    Attributes:
        figured: Those that have figures.
        placed: Those that are about a service, a host or the like.
        event_bit: Stands for the event itself where times are looked up.
        by_name: By the folded names of what it is about.
        by_entity: By those of them that are services, hosts and the like.
        by_metric: By those of them that are series.
        by_number: By its figures as they are written.
        by_pair: By two of its figures, in the order of time where they have one, and by the way
            from the first to the second or "" for any.
        by_way: By "up" or "down" where it shows a movement.
        by_offset: By the side of the event, or "" for no offset, and the figure.
        by_role: By what a figure is (its name) and the figure.
        calls: Who calls whom, as folded names.
    """

    figured: int
    placed: int
    event_bit: int
    by_id: dict[str, int]
    by_name: dict[str, int]
    by_entity: dict[str, int]
    by_metric: dict[str, int]
    by_number: dict[str, int]
    by_pair: dict[tuple[str, str, str], int]
    by_way: dict[str, int]
    by_offset: dict[tuple[str, str], int]
    by_role: dict[tuple[str, str], int]
    calls: frozenset[tuple[str, str]]
    instants: Instants
    event: Event

    def about(self, ids: Sequence[str], names: Sequence[str]) -> int:
        """Evidence with figures that a sentence may be about.

        That is what it cites, of that what is about what it names; without a citation what it
        names, and all of it when it names nothing.
        """
        folded = [fold(name) for name in names]
        cited = self.cited(ids) & self.figured
        if not cited:
            return union(self.by_name, folded) & self.figured or -1
        own = cited & union(self.by_entity, folded)
        if own and len(ids) > 1:
            own |= cited & union(self.by_metric, folded)
        return own or cited

    def cited(self, ids: Sequence[str]) -> int:
        """What a sentence cites."""
        return union(self.by_id, ids)

    def strays(self, ids: Sequence[str], names: Sequence[str]) -> bool:
        """Whether a sentence names somebody and cites only what is about others."""
        cited = self.cited(ids) & self.placed
        entities = union(self.by_entity, map(fold, names))
        return bool(cited and entities and not cited & entities)


def union(sets: dict[str, int], keys: Iterable[str]) -> int:
    """All pieces under one of the keys."""
    return reduce(or_, (sets.get(key, 0) for key in keys), 0)


def holders_of(subject: SubjectFacts, lexicon: Lexicon) -> Holders:
    """All evidence of a lexicon."""
    sets: list[defaultdict[str, int]] = [defaultdict(int) for _ in range(6)]
    by_id, by_name, by_entity, by_metric, by_number, by_way = sets
    by_pair: defaultdict[tuple[str, str, str], int] = defaultdict(int)
    by_offset: defaultdict[tuple[str, str], int] = defaultdict(int)
    by_role: defaultdict[tuple[str, str], int] = defaultdict(int)
    figured = placed = 0
    for place, piece in enumerate(lexicon.pieces):
        bit = 1 << place
        figured |= bit if piece.numbers else 0
        placed |= bit if piece.entities else 0
        by_id[piece.evidence.evidence_id] |= bit
        by_way[_way_of(piece.evidence)] |= bit
        for found, names in (
            (by_name, piece.names),
            (by_entity, piece.entities),
            (by_metric, piece.names - piece.entities),
        ):
            for name in {fold(raw(name)) for name in names}:
                found[name] |= bit
        figures = [
            (number, figure)
            for (number, _), figure in zip(piece.numbers, piece.evidence.figures, strict=True)
        ]
        for number, figure in figures:
            by_number[number] |= bit
            by_offset[_side_of(figure), number] |= bit
            by_role[figure.name, number] |= bit
        for (first, before), (second, after) in combinations(figures, 2):
            by_pair["", first, second] |= bit
            by_pair[_way(before.value, after.value), first, second] |= bit
    return Holders(
        figured=figured,
        placed=placed,
        event_bit=1 << len(lexicon.pieces),
        by_id=by_id,
        by_name=by_name,
        by_entity=by_entity,
        by_metric=by_metric,
        by_number=by_number,
        by_pair=by_pair,
        by_way=by_way,
        by_offset=by_offset,
        by_role=by_role,
        calls=frozenset(_calls(lexicon.pieces)),
        instants=lexicon.instants,
        event=Event.of(subject),
    )


def _calls(pieces: Iterable[Piece]) -> Iterable[tuple[str, str]]:
    for piece in pieces:
        if piece.evidence.kind is EvidenceKind.TOPOLOGY:
            for call in raw(piece.evidence.title).removesuffix(" and more").split(", "):
                caller, _, callee = fold(call).partition(" calls ")
                yield caller, callee


def _way_of(piece: Evidence) -> str:
    before, after = piece.figure(BASELINE), piece.figure(OBSERVED)
    return _way(before.value, after.value) if before and after else ""


def _way(before: float, after: float) -> str:
    if before == after:
        return ""
    return "up" if after > before else "down"


def _side_of(figure: Figure) -> str:
    if figure.name.endswith("before_event"):
        return BEFORE
    return AFTER if figure.name.endswith("after_event") else ""
