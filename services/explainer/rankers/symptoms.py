"""How the whole hurts, when the subject does not say."""

from services.explainer.model.case import Case, Symptom
from services.explainer.rankers.deviation import USUAL_SIGMAS
from services.explainer.rankers.measures import BAD_DIRECTION, measure_of_series, symptom_of
from services.explainer.rankers.moves import move_of


def symptoms_of(case: Case) -> frozenset[Symptom]:
    """The subject's symptom; without a metric those that series of no service show.

    Empty when nothing tells.
    """
    if case.subject.symptom is not Symptom.UNKNOWN or case.subject.metric:
        return frozenset({case.subject.symptom})
    found = set()
    for window in case.series:
        measure = measure_of_series(window)
        of_system = not window.service and measure in BAD_DIRECTION
        if of_system and move_of(window, measure).size > USUAL_SIGMAS:
            found.add(symptom_of(window.metric))
    return frozenset(found)
