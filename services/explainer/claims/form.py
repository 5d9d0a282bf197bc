"""The form of an explanation: a tagged union of claims, and its JSON schema for one case. Pure."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec

from services.explainer.claims.facts import SUBJECT, Facts
from services.explainer.model.evidence import Evidence, EvidenceKind

CLAIMS_MAX: Final = 12
BECAUSE_MAX: Final = 3


class Mechanism(StrEnum):
    """How a suspect brought it about, by what its evidence measures."""

    ERRORS = "errors"
    SLOWNESS = "slowness"
    UNAVAILABILITY = "unavailability"
    CPU = "cpu"
    MEMORY = "memory"
    EXHAUSTION = "exhaustion"
    TRAFFIC = "traffic"
    MACHINE = "machine"
    CHANGE = "change"
    OTHER = "other"


class Action(StrEnum):
    """What can be advised."""

    FREE_SPACE = "free_space"
    RAISE_LIMIT = "raise_limit"
    RENEW_CERTIFICATE = "renew_certificate"
    DRAIN_QUEUE = "drain_queue"
    UNDO_CHANGE = "undo_change"
    READ_LOGS = "read_logs"
    REDUCE_CPU = "reduce_cpu"
    REDUCE_MEMORY = "reduce_memory"
    CHECK_REACHABLE = "check_reachable"
    FIND_WAIT = "find_wait"
    CHECK_TRAFFIC = "check_traffic"
    CHECK_MACHINE = "check_machine"
    COMPARE = "compare"


class Explains(msgspec.Struct, frozen=True, tag="explains", forbid_unknown_fields=True):
    """The first suspect is the cause. `effect` is evidence of the subject, or "" for none."""

    suspect: str
    mechanism: Mechanism
    because: tuple[str, ...]
    effect: str = ""


class Moved(msgspec.Struct, frozen=True, tag="moved", forbid_unknown_fields=True):
    """A series left its usual range."""

    evidence: str


class Steady(msgspec.Struct, frozen=True, tag="steady", forbid_unknown_fields=True):
    """A series stayed within its usual range."""

    evidence: str


class Apart(msgspec.Struct, frozen=True, tag="apart", forbid_unknown_fields=True):
    """A series is far from what is usual, since before it was looked at."""

    evidence: str


class Reached(msgspec.Struct, frozen=True, tag="reached", forbid_unknown_fields=True):
    """A series reached what it usually does not, for a moment or little by little."""

    evidence: str


class Exhausted(msgspec.Struct, frozen=True, tag="exhausted", forbid_unknown_fields=True):
    """A resource ran full."""

    evidence: str


class Silent(msgspec.Struct, frozen=True, tag="silent", forbid_unknown_fields=True):
    """A series sends nothing."""

    evidence: str


class Preceded(msgspec.Struct, frozen=True, tag="preceded", forbid_unknown_fields=True):
    """One thing began before another one."""

    first: str
    second: str


class Calls(msgspec.Struct, frozen=True, tag="calls", forbid_unknown_fields=True):
    """One service calls another one; both are suspects or "subject"."""

    caller: str
    callee: str


class Changed(msgspec.Struct, frozen=True, tag="changed", forbid_unknown_fields=True):
    """People changed something before the event."""

    evidence: str


class Crossed(msgspec.Struct, frozen=True, tag="crossed", forbid_unknown_fields=True):
    """A threshold was crossed."""

    evidence: str


class Alerted(msgspec.Struct, frozen=True, tag="alerted", forbid_unknown_fields=True):
    """Another alert fires."""

    evidence: str


class Abnormal(msgspec.Struct, frozen=True, tag="abnormal", forbid_unknown_fields=True):
    """The detector found a value abnormal."""

    evidence: str


class Similar(msgspec.Struct, frozen=True, tag="similar", forbid_unknown_fields=True):
    """A past incident was alike."""

    evidence: str


class Originated(msgspec.Struct, frozen=True, tag="originated", forbid_unknown_fields=True):
    """Errors began in one place of the traces, more often than usual."""

    evidence: str


class Rerouted(msgspec.Struct, frozen=True, tag="rerouted", forbid_unknown_fields=True):
    """An operation answered by other calls than usual."""

    evidence: str


class Delayed(msgspec.Struct, frozen=True, tag="delayed", forbid_unknown_fields=True):
    """Calls took longer than usual, in a service or on the way to it."""

    evidence: str


class ForExample(msgspec.Struct, frozen=True, tag="example", forbid_unknown_fields=True):
    """One error as it was told, with the id of its trace."""

    evidence: str


class Missing(msgspec.Struct, frozen=True, tag="missing", forbid_unknown_fields=True):
    """Something was looked for and is not there."""

    evidence: str


class Act(msgspec.Struct, frozen=True, tag="act", forbid_unknown_fields=True):
    """What to do, to whom, and the evidence that calls for it."""

    action: Action
    target: str
    because: tuple[str, ...]


class Relieve(msgspec.Struct, frozen=True, tag="relieve", forbid_unknown_fields=True):
    """What to do about a resource that ran full, whoever is suspect."""

    evidence: str


Claim = (
    Explains | Moved | Steady | Apart | Reached | Exhausted | Silent | Preceded | Calls | Changed
    | Crossed | Alerted | Abnormal | Similar | Originated | Rerouted | Delayed
    | ForExample | Missing | Act | Relieve
)  # fmt: skip
TAGS: Final[dict[str, type[Claim]]] = {
    str(kind.__struct_config__.tag): kind for kind in Claim.__args__
}


class Form(msgspec.Struct, frozen=True):
    """What is claimed, the most telling first."""

    claims: tuple[Claim, ...] = ()


def ids_of(claim: Claim) -> tuple[str, ...]:
    """Every id of evidence that a claim stands on, once, in the order of its fields."""
    found: list[str] = []
    for name in ("evidence", "first", "second", "because", "effect"):
        value = getattr(claim, name, ())
        found += [value] if isinstance(value, str) else value
    return tuple(dict.fromkeys(each for each in found if each))


def schema_of(facts: Facts) -> dict[str, Any]:
    """The JSON schema of a form about these facts; ids that do not exist cannot be written.

    It keeps to what OpenAI's strict mode, Ollama and llama.cpp all take: every property is
    required, nothing else is allowed, choices are `anyOf` and `enum`.
    """
    choices = [each for each in _choices(facts) if each is not None]
    claims = {"type": "array", "items": {"anyOf": choices}, "minItems": 1, "maxItems": CLAIMS_MAX}
    return _object({"claims": claims})


def _choices(facts: Facts) -> list[dict[str, Any] | None]:
    of = facts.of_kind
    evidence = {
        "moved": [each for each in facts.evidence if each.has_moved],
        "apart": [each for each in facts.evidence if each.is_apart],
        "reached": [each for each in facts.evidence if each.is_outside],
        "exhausted": [each for each in facts.evidence if each.is_exhausted],
        "relieve": [each for each in facts.evidence if each.is_exhausted],
        "changed": of(EvidenceKind.CHANGE),
        "crossed": of(EvidenceKind.THRESHOLD),
        "alerted": of(EvidenceKind.ALERT),
        "abnormal": of(EvidenceKind.ANOMALY),
        "similar": of(EvidenceKind.PAST_INCIDENT),
        "originated": of(EvidenceKind.ORIGIN_ERRORS),
        "rerouted": of(EvidenceKind.CALL_SHAPE),
        "delayed": of(EvidenceKind.CALL_WAIT),
        "example": of(EvidenceKind.EXAMPLE),
        "missing": of(EvidenceKind.MISSING),
    }
    begun = [each for each in facts.evidence if facts.begun_ms(each) is not None]
    cited = _cited(facts)
    own = of(EvidenceKind.SUBJECT_SERIES)
    names = [*facts.suspect_ids, SUBJECT]
    return [
        _choice(
            "explains",
            suspect=_enum(facts.suspect_ids[:1]),
            mechanism=_enum([*Mechanism]),
            because=_list(cited),
            effect=_enum(["", *_ids(own)]),
        ),
        *(_choice(tag, evidence=_enum(_ids(pieces))) for tag, pieces in evidence.items()),
        _choice("preceded", first=_enum(_ids(begun)), second=_enum(_ids(begun))),
        _choice("calls", caller=_enum(names), callee=_enum(names)) if facts.calls else None,
        _choice(
            "act",
            action=_enum([*Action]),
            target=_enum(facts.suspect_ids),
            because=_list(cited),
        ),
    ]


def _cited(facts: Facts) -> list[str]:
    """Evidence that stands behind a suspect, and changes."""
    reasons = [r.evidence_id for each in facts.suspects for r in each.suspect.reasons]
    return list(dict.fromkeys([*reasons, *_ids(facts.of_kind(EvidenceKind.CHANGE))]))


def _ids(pieces: Sequence[Evidence]) -> list[str]:
    return [each.evidence_id for each in pieces]


def _choice(tag: str, **fields: dict[str, Any] | None) -> dict[str, Any] | None:
    """A claim; None where one of its fields has nothing to choose from."""
    if any(field is None for field in fields.values()):
        return None
    return _object({"type": {"type": "string", "enum": [tag]}, **fields})


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }


def _enum(values: Sequence[str]) -> dict[str, Any] | None:
    return {"type": "string", "enum": [str(each) for each in values]} if values else None


def _list(values: Sequence[str]) -> dict[str, Any] | None:
    items = _enum(values)
    return items and {"type": "array", "items": items, "minItems": 1, "maxItems": BECAUSE_MAX}
