"""From scores of services to a ranking.

All rankers score in one unit: the logarithm of robust standard deviations, times the share of
the picture that the suspect explains. So scores of different rankers can be compared.
"""

from collections.abc import Mapping, Sequence

from services.explainer.model.ranking import Ranking, Reason, Suspect
from services.explainer.rankers.confidence import ENOUGH, LEAST, shares, standing

REASONS = 5
"""Most reasons kept per suspect."""

DECIMALS = 9
"""Scores equal to this many decimals are a tie, settled by name."""


def ranking(
    scores: Mapping[str, float], reasons: Mapping[str, Sequence[Reason]], *, ranker: str
) -> Ranking:
    """Order services by falling score; abstain when the best does not stand out.

    A suspect's confidence is the probability that there is a fault and that it is the cause.
    """
    order = sorted(scores, key=lambda service: (-round(scores[service], DECIMALS), service))
    ranked = [max(0.0, float(scores[service])) for service in order]
    fault = standing(ranked)
    believed = [fault * share for share in shares(ranked)]
    suspects = tuple(
        Suspect(
            entity=service,
            rank=place,
            score=score,
            confidence=belief,
            reasons=_best(reasons.get(service, ())),
        )
        for place, (service, score, belief) in enumerate(
            zip(order, ranked, believed, strict=True), start=1
        )
    )
    doubt = _doubt(fault, believed)
    return Ranking(
        suspects=suspects,
        confidence=believed[0] if believed else 0.0,
        abstained=bool(doubt),
        reason=doubt or f"decided by {ranker}",
        ranker=ranker,
    )


def _doubt(fault: float, believed: Sequence[float]) -> str:
    """Why nobody should be named; "" when the first may be."""
    if fault < ENOUGH:
        return "no service stands out from the rest"
    if believed[0] < LEAST:
        return "too many services moved alike: look at what they share"
    return ""


def _best(reasons: Sequence[Reason]) -> tuple[Reason, ...]:
    """The strongest, those first that cite evidence: others cannot be shown."""
    positive = [r for r in reasons if r.score > 0]
    if len(positive) > 1:
        positive.sort(key=lambda r: (not r.evidence_id, -r.score, r.evidence_id))
    return tuple(positive[:REASONS])
