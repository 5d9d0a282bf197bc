"""What claims are made of: the ranked suspects, the numbered evidence, the calls, nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from services.explainer.model.evidence import Evidence, EvidenceKind
from services.explainer.model.explanation import NamedSuspect
from services.explainer.model.names import plain
from services.explainer.model.subjects import SubjectFacts
from services.explainer.rankers.measures import resource_of

SUBJECT: Final = "subject"
"""Stands for the service that shows the symptom."""

SUSPECTS_MAX: Final = 5

CHANGE_LAG_MS: Final = 15 * 60_000
"""A change that was in effect longer than this before is not told beside the cause."""

ONSET_WITHIN_MS: Final = 60_000
"""An onset is known to about a sample."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that can be claimed of a case.

    Attributes:
        suspects: Best first; empty when nobody is named.
        evidence: All of it.
        reason: Why nobody is named, or what decided.
        service: Who shows the symptom; "" when unknown.
        calls: Calls between services, as (caller, callee).
        tied: Ids of the evidence of services that are tied to the subject; None when the subject
            does not tell where it is.
    """

    subject: SubjectFacts
    suspects: tuple[NamedSuspect, ...]
    evidence: tuple[Evidence, ...]
    reason: str
    service: str = ""
    calls: frozenset[tuple[str, str]] = frozenset()
    tied: frozenset[str] | None = None

    @property
    def suspect_ids(self) -> list[str]:
        """`S1`, `S2`, … in the order of the ranking."""
        return [f"S{each.suspect.rank}" for each in self.suspects[:SUSPECTS_MAX]]

    def suspect(self, suspect_id: str) -> NamedSuspect | None:
        """The suspect of an id."""
        known = zip(self.suspect_ids, self.suspects[:SUSPECTS_MAX], strict=True)
        return next((each for id, each in known if id == suspect_id), None)

    def entity(self, id: str) -> str:
        """The name of a suspect or of the subject's service, fit for a sentence; "" for none."""
        named = self.suspect(id)
        name = named.suspect.entity if named else self.service if id == SUBJECT else ""
        return plain(name)

    def piece(self, evidence_id: str) -> Evidence | None:
        """The evidence of an id."""
        return self._piece_by_id.get(evidence_id)

    @cached_property
    def _piece_by_id(self) -> Mapping[str, Evidence]:
        return {each.evidence_id: each for each in self.evidence}

    def of_kind(self, *kinds: EvidenceKind) -> list[Evidence]:
        """Evidence of these kinds, in order, but for the subject itself."""
        own = self.subject.ref.id
        return [p for p in self.evidence if p.kind in kinds and p.reference_id != own]

    @cached_property
    def own(self) -> list[Evidence]:
        """What the subject itself is: the anomaly, or the bound of its rule that was crossed."""
        return [piece for piece in self.evidence if self.is_own(piece)]

    def is_own(self, piece: Evidence) -> bool:
        """Whether a piece is the anomaly itself, or a bound that the subject's series crossed."""
        if piece.kind is EvidenceKind.THRESHOLD and not piece.reference_id:
            return True
        kinds = (EvidenceKind.ANOMALY, EvidenceKind.THRESHOLD)
        return piece.kind in kinds and piece.reference_id == self.subject.ref.id

    def is_tied(self, piece: Evidence) -> bool:
        """Whether a piece is of the subject or of a service that is tied to it."""
        own = piece.kind is EvidenceKind.SUBJECT_SERIES
        return self.tied is None or own or piece.evidence_id in self.tied

    @cached_property
    def onset_ms(self) -> int:
        """When the subject's series left their usual range; the event when they did not before."""
        own = [p for p in self.of_kind(EvidenceKind.SUBJECT_SERIES) if p.has_moved]
        begun = [at for piece in own if (at := self.begun_ms(piece)) is not None]
        return min([*begun, self.subject.event_ms])

    def is_late(self, change: Evidence) -> bool:
        """Whether a change came after what it would have to explain had begun."""
        return (self.begun_ms(change) or 0) > self.onset_ms + ONSET_WITHIN_MS

    def behind(self, named: NamedSuspect) -> list[Evidence]:
        """What stands behind a suspect, what ran full, is of traces or moved before all else.

        Where the subject ran short of CPU or memory, what a suspect used of it comes first.
        """
        found = (self.piece(reason.evidence_id) for reason in named.suspect.reasons)
        cited = list(dict.fromkeys(each.evidence_id for each in found if each))
        pieces = [piece for id in cited if (piece := self.piece(id))]
        return sorted(pieces, key=self._weight)

    def _weight(self, piece: Evidence) -> tuple[bool, ...]:
        about = self.subject.metric or next(iter(self.subject.metric_hints), "")
        short_of = resource_of(about)
        is_other = bool(short_of) and resource_of(piece.labels.get("__name__", "")) is not short_of
        return not piece.is_exhausted, not piece.is_counted, not piece.has_moved, is_other

    def changes_of(self, named: NamedSuspect) -> list[Evidence]:
        """Changes of a suspect shortly before what it shows began, the closest first."""
        shows = [p for p in self.behind(named) if p.kind is not EvidenceKind.CHANGE]
        begun = [at for piece in shows if (at := self.begun_ms(piece)) is not None]
        until_ms = min([*begun, self.onset_ms + ONSET_WITHIN_MS])
        found = [
            piece
            for piece in self.of_kind(EvidenceKind.CHANGE)
            if piece.labels.get("service") == named.suspect.entity
            and 0 <= until_ms - (self.begun_ms(piece) or 0) <= CHANGE_LAG_MS
        ]
        return sorted(found, key=lambda piece: -piece.start_ms)

    def begun_ms(self, piece: Evidence) -> int | None:
        """When what a piece shows began; None when that is not known."""
        for name in ("full", "change"):
            if before := piece.figure(f"{name}_before_event"):
                return self.subject.event_ms - round(1000 * before.value)
            if after := piece.figure(f"{name}_after_event"):
                return self.subject.event_ms + round(1000 * after.value)
        dated = (EvidenceKind.ALERT, EvidenceKind.ANOMALY, EvidenceKind.THRESHOLD)
        return piece.start_ms if piece.kind in dated else None
