"""What every reader yields."""

from dataclasses import dataclass
from pathlib import Path

from services.explainer.model.case import Case


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One recorded incident.

    Attributes:
        id: Name under which its ranks are written.
        collection: Folder of the collection it came from.
        place: File that tells of it.
        answers: "service" when a service is asked for, "change" when a commit is.
    """

    id: str
    collection: str
    place: Path
    case: Case
    answers: str = "service"
