"""What every reader yields."""

from dataclasses import dataclass

from services.explainer.model.case import Case


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One recorded incident.

    Attributes:
        id: Name under which its ranks are written.
        collection: Folder of the collection it came from.
        answers: "service" when a service is asked for, "change" when a commit is.
    """

    id: str
    collection: str
    case: Case
    answers: str = "service"
