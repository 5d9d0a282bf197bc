"""What every source does."""

from dataclasses import dataclass
from typing import Protocol

from mesh.errors import SensusError
from services.explainer.model.case import Change
from services.explainer.model.evidence import Evidence
from services.explainer.model.subjects import SeriesSamples, SubjectFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far and how much to look around an event.

    Attributes:
        before_ms: Time before the event that is read.
        after_ms: Time after it.
        series_max: Series read by one question.
        samples_max: Newest samples read of each series.
        nearby_max: Alerts and anomalies read.
    """

    before_ms: int = 60 * 60_000
    after_ms: int = 5 * 60_000
    series_max: int = 400
    samples_max: int = 1000
    nearby_max: int = 20

    def span_of(self, facts: SubjectFacts) -> tuple[int, int]:
        """First time read, and the time before which reading ends."""
        return facts.event_ms - self.before_ms, facts.event_ms + self.after_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What one source found.

    Attributes:
        evidence: Pieces that are complete but for their number.
        series: Series to be measured.
        changes: What people did, without the number of its evidence.
        calls: Calls between services, as (caller, callee).
        missing: What was looked for and is not there, each in a few words.
        unknown: What nobody ever sent to this installation, each in a few words.
    """

    evidence: tuple[Evidence, ...] = ()
    series: tuple[SeriesSamples, ...] = ()
    changes: tuple[Change, ...] = ()
    calls: frozenset[tuple[str, str]] = frozenset()
    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def is_too_many(error: SensusError) -> bool:
    """Whether a question was refused because it matches more series than it may."""
    return error.reason == "TOO_MANY_SERIES"


class Source(Protocol):
    """Looks for one kind of evidence."""

    @property
    def name(self) -> str:
        """What it looks for, in words for people."""
        ...

    async def find(self, facts: SubjectFacts) -> Findings:
        """Everything within its reach. May raise anything: the others go on without it."""
        ...
