"""How many warnings about values an installation raises: a purse for all, one for each sender.

Groups of series, each named by a selector, may have purses of their own beside these. A warning
costs a coin of each that it falls under. A purse gains the accepted number a week, a sender's half
of that, and holds a week's worth; a fresh one half of it, so a fresh installation is quiet. When it
is empty a warning becomes an info, unless it is louder than all that were announced or held back
since: the loudest fault of a bad week is heard whatever it costs. What is critical is never held
back.
"""

import dataclasses
from typing import Final

from mesh.selector import Selector
from services.detector.model.anomalies import Finding, Kind, Severity
from services.detector.model.groups import NO_LABEL, SharedLabel

LOUDER: Final = 1.2
"""In strength, score / (1 - score)."""
FRESH: Final = 0.5
OF_SENDER: Final = 0.5
HISTORY_MS: Final = 3_600_000
"""What is older when it is found comes too late for anybody: it costs nothing."""
WEEK_MS: Final = 604_800_000
GROUP: Final = "{}"
"""In the place of a label's name: the purse of a group, by the text of its selector."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Purse:
    """Coins at a time, and the strength of the loudest warning since there was one to spare."""

    coins: float
    loudest: float
    at_ms: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Series that a selector matches, and how many warnings of them a week are accepted."""

    text: str
    selector: Selector
    per_week: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Warnings accepted a week: of the whole installation, 0 for any number, and of groups."""

    per_week: float = 0.0
    groups: tuple[Group, ...] = ()

    def gains(self, found: Finding) -> dict[SharedLabel, float]:
        """The purses that a finding costs a coin of, and what each gains a week."""
        gains = {
            (GROUP, g.text): g.per_week for g in self.groups if g.selector.matches(found.labels)
        }
        if self.per_week:
            gains |= {found.shared: OF_SENDER * self.per_week, NO_LABEL: self.per_week}
        return gains

    @property
    def slowest(self) -> float:
        """What the purse gains a week that takes longest to be full."""
        gains = [OF_SENDER * self.per_week] if self.per_week else []
        return min([*gains, *(group.per_week for group in self.groups)], default=1.0)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a budget still allows: the selector of a group, or "" for the whole installation."""

    selector: str
    per_week: float
    left: float


UNLIMITED: Final = Budget()


def fresh(per_week: float, now_ms: int) -> Purse:
    """Before the first warning."""
    return Purse(coins=max(FRESH * per_week, 1.0), loudest=0.0, at_ms=now_ms)


def filled(purse: Purse, per_week: float, now_ms: int) -> Purse:
    """What it holds now.

    >>> filled(Purse(coins=0.0, loudest=9.0, at_ms=0), 14.0, 86_400_000)
    Purse(coins=2.0, loudest=0.0, at_ms=86400000)
    """
    gained = per_week * max(now_ms - purse.at_ms, 0) / WEEK_MS
    coins = min(purse.coins + gained, max(per_week, 1.0))
    return Purse(
        coins=coins, loudest=purse.loudest if coins < 1.0 else 0.0, at_ms=max(now_ms, purse.at_ms)
    )


def is_counted(found: Finding, now_ms: int) -> bool:
    """Whether a lead costs a coin."""
    is_recent = found.event_ms >= now_ms - HISTORY_MS
    return found.kind is Kind.VALUE and found.severity > Severity.INFO and is_recent


def allows(purse: Purse, found: Finding) -> bool:
    """Whether there is a coin for the finding, or it is too loud to need one."""
    is_loud = found.severity is Severity.CRITICAL or _strength(found) > LOUDER * purse.loudest
    return purse.coins >= 1.0 or is_loud


def announced(purse: Purse, found: Finding, *, is_paid: bool) -> Purse:
    """After the finding was announced, or held back."""
    return dataclasses.replace(
        purse,
        coins=max(purse.coins - 1.0, 0.0) if is_paid else purse.coins,
        loudest=max(purse.loudest, _strength(found)),
    )


def held_back(found: Finding) -> Finding:
    """The finding as an info."""
    return dataclasses.replace(found, severity=Severity.INFO, over_budget=True)


def _strength(found: Finding) -> float:
    return found.alert_score / max(1.0 - found.alert_score, 1e-9)
