"""What a ranker answers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why someone is suspected, in one sentence without markup, and the evidence for it."""

    text: str
    evidence_id: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """One candidate for the root cause.

    Attributes:
        rank: 1 is the most likely.
        score: Larger is more suspect; comparable only inside one ranking.
        confidence: Estimated probability that this is the root cause, 0..1.
    """

    entity: str
    rank: int
    score: float
    confidence: float
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """The suspects, best first.

    Attributes:
        ranker: Name of the ranker that decided.
        confidence: That the first suspect is right, 0..1; 0 without suspects.
        abstained: True when nobody should be named; the order is kept for the curious.
        reason: Why it abstained, or what decided.
    """

    suspects: tuple[Suspect, ...]
    confidence: float
    abstained: bool
    reason: str
    ranker: str = ""
