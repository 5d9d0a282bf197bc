"""The one verb of every ranker."""

from typing import Protocol

from services.explainer.model.case import Case
from services.explainer.model.ranking import Ranking


class Ranker(Protocol):
    """Orders the suspects of a case.

    Laws (each is tested on every ranker): the result depends only on the case, not on the order
    of its parts; another unit of a measurement changes nothing; an empty case abstains; NaN and
    constant series are harmless.
    """

    @property
    def name(self) -> str:
        """Short name shown with the ranking."""
        ...

    def rank(self, case: Case) -> Ranking:
        """Suspects of `case`, best first; never raises for any case."""
        ...
