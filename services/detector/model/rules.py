"""Threshold rules: what one is, and which are valid."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from typing import Final

from mesh.errors import InvalidInput, Violation
from mesh.selector import Selector
from services.detector.detectors.threshold import Terms
from services.detector.model.samples import SeriesKind

NAME_CHARS_MAX: Final = 128
HOLD_MAX_MS: Final = 86_400_000
RULES_MAX: Final = 100

_NOW: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Comparison(IntEnum):
    """The side that is bad; numbers as in the contract and in the store."""

    ABOVE = 1
    BELOW = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. Two rules are equal when they watch the same series under the same terms.

    Attributes:
        selector: As the user wrote it.
        warning, critical: None for a threshold that is not set.
        hold_ms: How long the value must stay beyond a threshold.
        series_kind: What the series are, as in `SeriesKind`; 0 when it says nothing of it.
    """

    rule_id: str
    name: str
    selector: str
    comparison: int
    warning: float | None
    critical: float | None
    hysteresis: float = 0.0
    hold_ms: int = 0
    series_kind: int = 0
    enabled: bool = True
    created_at: datetime = field(default=_NOW, compare=False)
    updated_at: datetime = field(default=_NOW, compare=False)

    @property
    def has_threshold(self) -> bool:
        """Whether it announces anything."""
        return self.warning is not None or self.critical is not None

    @property
    def sign(self) -> float:
        """What turns values into such that are bad when high."""
        return 1.0 if self.comparison == Comparison.ABOVE else -1.0

    @property
    def terms(self) -> Terms:
        """The thresholds for values times `sign`."""
        return Terms(
            _signed(self.warning, self.sign),
            _signed(self.critical, self.sign),
            self.hysteresis,
            self.hold_ms,
        )


def check(rule: Rule, selector: Selector) -> None:
    """Refuses a rule that means nothing.

    Raises:
        InvalidInput: INVALID_RULE, with every violation.
    """
    violations = list(_violations(rule, selector))
    if violations:
        message = "; ".join(f"{each.field} {each.description}" for each in violations)
        raise InvalidInput(message, reason="INVALID_RULE", violations=violations)


def _violations(rule: Rule, selector: Selector) -> Iterator[Violation]:
    if not 1 <= len(rule.name) <= NAME_CHARS_MAX or "\x00" in rule.name:
        yield Violation("rule.name", f"must have 1 to {NAME_CHARS_MAX} characters, none of them 0")
    if not selector.matchers or "\x00" in rule.selector:
        yield Violation("rule.selector", "must have at least one matcher")
    if rule.has_threshold and rule.comparison not in tuple(Comparison):
        yield Violation("rule.comparison", "must be RULE_COMPARISON_ABOVE or RULE_COMPARISON_BELOW")
    if not (math.isfinite(rule.hysteresis) and rule.hysteresis >= 0):
        yield Violation("rule.hysteresis", "must be 0 or more")
    if not 0 <= rule.hold_ms <= HOLD_MAX_MS:
        yield Violation("rule.hold_duration", "must lie between 0 and 24 hours")
    if rule.series_kind not in tuple(SeriesKind):
        yield Violation("rule.series_kind", "must be SERIES_KIND_GAUGE or SERIES_KIND_COUNTER")
    yield from _wrong_thresholds(rule)


def _wrong_thresholds(rule: Rule) -> Iterator[Violation]:
    warning, critical = rule.warning, rule.critical
    if not rule.has_threshold and not rule.series_kind:
        yield Violation("rule.warning", "or rule.critical or rule.series_kind must be set")
    for name, value in (("warning", warning), ("critical", critical)):
        if value is not None and not math.isfinite(value):
            yield Violation(f"rule.{name}", "must be finite")
    if warning is not None and critical is not None and rule.sign * (critical - warning) <= 0:
        yield Violation("rule.critical", "must lie beyond rule.warning")


def _signed(threshold: float | None, sign: float) -> float:
    return math.inf if threshold is None else sign * threshold
