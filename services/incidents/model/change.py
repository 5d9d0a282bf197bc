"""What the logs of alerts and anomalies say: something begins, or ends."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

_ENVIRONMENT: Final = ("environment", "env", "cluster", "namespace")
_SERVICE: Final = ("service", "service_name", "app", "job", "instance", "host")
_MACHINE_JOBS: Final = frozenset({"node", "node_exporter", "node-exporter"})
"""Jobs that read machines: what is wrong there is wrong with one machine, not with the job."""
_LONGEST: Final = 200


class Kind(IntEnum):
    """What a member is, numbered as in the contract."""

    ALERT = 1
    ANOMALY = 2


class Severity(IntEnum):
    """Urgency, numbered as in the contract."""

    INFO = 1
    WARNING = 2
    CRITICAL = 3


class JoinReason(IntEnum):
    """Why a member is in its incident, numbered as in the contract."""

    FIRST = 1
    RULE = 2
    FINGERPRINT = 3
    BURST = 4
    CALL = 5
    PERSON = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """An alert or anomaly that begins, or that ended. Times are milliseconds since the Unix epoch.

    Attributes:
        fingerprint: Equal for what says the same of the same thing.
        end_ms: When it ended; None for one that begins.
    """

    member_id: str
    kind: Kind
    fingerprint: str
    labels: Mapping[str, str]
    severity: Severity
    start_ms: int
    end_ms: int | None = None
    traceparent: str = ""
    service: str = field(init=False)
    environment: str = field(init=False)

    def __post_init__(self) -> None:
        """Reads where it happens."""
        names = tuple(
            each
            for each in _SERVICE
            if each != "job" or self.labels.get("job") not in _MACHINE_JOBS
        )
        object.__setattr__(self, "service", first_of(self.labels, names))
        object.__setattr__(self, "environment", first_of(self.labels, _ENVIRONMENT))


def over(member_id: str, kind: Kind, end_ms: int) -> Change:
    """The end of what began before: its id says all else."""
    return Change(
        member_id=member_id,
        kind=kind,
        fingerprint="",
        labels={},
        severity=Severity.INFO,
        start_ms=end_ms,
        end_ms=end_ms,
    )


def first_of(labels: Mapping[str, str], names: tuple[str, ...]) -> str:
    """The value of the first label that is there; empty for none."""
    return next((labels[name][:_LONGEST] for name in names if name in labels), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """A member joins an incident, which it opens when it is the first."""

    change: Change
    incident_id: str
    reason: JoinReason


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberEnded:
    """A member of an incident ended."""

    member_id: str
    incident_id: str
    end_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundNoise:
    """What fires all the time opens no incident."""

    change: Change


Placement = Joined | MemberEnded | BackgroundNoise
