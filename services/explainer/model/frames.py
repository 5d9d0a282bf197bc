"""What a stream tells while an explanation is made. Times in Unix ms."""

from dataclasses import dataclass
from enum import StrEnum

from services.explainer.model.evidence import Evidence
from services.explainer.model.explanation import NamedSuspect


class Stage(StrEnum):
    """One step of the work."""

    GATHERING = "gathering"
    RANKING = "ranking"
    WORDING = "wording"
    CHECKING = "checking"


class StageStatus(StrEnum):
    """Where a stage stands; DEGRADED is done without something."""

    STARTED = "started"
    DONE = "done"
    DEGRADED = "degraded"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageUpdate:
    """Tells where the work stands."""

    stage: Stage
    status: StageStatus
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    """A sentence of a verified claim."""

    text: str


Frame = StageUpdate | Evidence | NamedSuspect | TextDelta
