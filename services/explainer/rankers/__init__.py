"""Who is to blame: pure rankers of root causes.

`rank` orders services, picking the rankers that suit the symptom and the evidence;
`rank_changes` orders what people did. Every ranker can also be called alone, to compare.
"""

from services.explainer.model.case import Case
from services.explainer.model.ranking import Ranking
from services.explainer.rankers.changes import SuspectChange
from services.explainer.rankers.router import rank

__all__ = ["rank", "rank_changes"]


def rank_changes(case: Case) -> Ranking:
    """Changes of `case` that may have brought the symptom, or an abstention."""
    return SuspectChange().rank(case)
