"""What a text may be made of: the ranked suspects and the numbered evidence, and nothing else."""

from dataclasses import dataclass

from services.explainer.model.evidence import Evidence, EvidenceKind
from services.explainer.model.explanation import NamedSuspect
from services.explainer.model.subjects import SubjectFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that is to be worded.

    Attributes:
        suspects: Best first; empty when nobody is named.
        evidence: All of it.
        reason: Why nobody is named, or what decided.
    """

    subject: SubjectFacts
    suspects: tuple[NamedSuspect, ...]
    evidence: tuple[Evidence, ...]
    reason: str

    def of_kind(self, *kinds: EvidenceKind) -> list[Evidence]:
        """Evidence of these kinds, in order."""
        return [each for each in self.evidence if each.kind in kinds]

    def behind(self, named: NamedSuspect) -> Evidence | None:
        """The first measured piece that stands behind a suspect, one that moved before others."""
        by_id = {each.evidence_id: each for each in self.evidence}
        cited = (by_id.get(reason.evidence_id) for reason in named.suspect.reasons)
        measured = [each for each in cited if each and each.is_measured]
        return min(measured, key=lambda each: not each.has_moved, default=None)
