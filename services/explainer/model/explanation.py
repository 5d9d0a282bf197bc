"""An explanation as this service keeps it. Times in Unix ms."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from services.explainer.model.evidence import Evidence
from services.explainer.model.ranking import Suspect
from services.explainer.model.subjects import SubjectRef


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSuspect:
    """A ranked suspect and the labels that name it."""

    suspect: Suspect
    labels: Mapping[str, str]


class State(StrEnum):
    """Where an explanation stands."""

    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


class Verdict(StrEnum):
    """How much it explains."""

    NONE = ""
    EXPLAINED = "explained"
    INSUFFICIENT_EVIDENCE = "insufficient_evidence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """The three texts of an explanation, plain and without markup."""

    root_cause: str
    mitigation: str
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedClaim:
    """A verified claim in words, and the evidence it stands on. `kind` is its tag."""

    kind: str
    text: str
    evidence_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """Who chose the claims, and how many were dropped. `provider` is "template" for the rules."""

    provider: str = "template"
    model: str = ""
    degraded_reason: str = ""
    struck_claims: int = 0
    prompt_id: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cached: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Like explanations that began close to each other; `group_id` is that of the first."""

    group_id: UUID
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What a run of the work comes to."""

    state: State
    verdict: Verdict
    text: Text
    claims: tuple[StatedClaim, ...] = ()
    confidence: float = 0.0
    suspects: tuple[NamedSuspect, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    wording: Wording = Wording()
    group: Group | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A stored explanation.

    Attributes:
        result: Encoded with its evidence; None while it runs, and in lists.
        headline: Encoded without its evidence; None while it runs.
        last_sequence: Of the frames stored so far.
        create_us: Microseconds since the Unix epoch: pages are cut by it.
        group: As it is now; None before it has joined one.
        cursor: Place in the log of those that ended; 0 while it runs.
    """

    explanation_id: UUID
    ref: SubjectRef
    subject_state: str
    state: State
    result: bytes | None
    headline: bytes | None
    trace_id: str
    last_sequence: int
    create_us: int
    group: Group | None = None
    cursor: int = 0

    @property
    def leads(self) -> bool:
        """Whether it is the first of its group, or in none."""
        return self.group is None or self.group.group_id == self.explanation_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to run an explanation; writes under an `owner` that was replaced are refused.

    Attributes:
        last_sequence: Frames that an earlier run left; this one goes on after them.
        revision: From 1; grows whenever the subject is explained anew.
        before: The revision before, encoded without its evidence; None for the first.
    """

    explanation_id: UUID
    owner: UUID
    ref: SubjectRef
    subject_state: str
    traceparent: str
    attempt: int
    last_sequence: int
    create_us: int
    revision: int = 1
    before: bytes | None = None
