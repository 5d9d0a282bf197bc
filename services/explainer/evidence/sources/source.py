"""What every source does."""

from dataclasses import dataclass
from typing import Protocol

from services.explainer.model.case import Change
from services.explainer.model.evidence import Evidence
from services.explainer.model.subjects import SeriesSamples, SubjectFacts
from services.explainer.model.traces import NO_TRACES, Traces


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What one source found.

    Attributes:
        evidence: Pieces that are complete but for their number.
        series: Series to be measured.
        changes: What people did, without the number of its evidence.
        calls: Calls between services, as (caller, callee).
        traces: What traces do other than usual, without the numbers of its evidence.
        missing: What was looked for and is not there, each in a few words.
        unknown: What nobody ever sent to this installation, each in a few words.
    """

    evidence: tuple[Evidence, ...] = ()
    series: tuple[SeriesSamples, ...] = ()
    changes: tuple[Change, ...] = ()
    calls: frozenset[tuple[str, str]] = frozenset()
    traces: Traces = NO_TRACES
    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


class Source(Protocol):
    """Looks for one kind of evidence."""

    @property
    def name(self) -> str:
        """What it looks for, in words for people."""
        ...

    async def find(self, facts: SubjectFacts) -> Findings:
        """Everything within its reach. May raise anything: the others go on without it."""
        ...
