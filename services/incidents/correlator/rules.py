"""Grouping that people ask for: it wins over all else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.incidents.model.change import Change


class Matcher(Protocol):
    """Whether a label set is meant."""

    def matches(self, labels: Mapping[str, str], /) -> bool:
        """Whether it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Alerts that match, with equal values of `group_by`, belong together."""

    name: str
    selector: Matcher
    group_by: tuple[str, ...] = ()
    window_ms: int = 300_000
    never_with: Matcher | None = None

    def takes(self, change: Change) -> bool:
        """Whether the rule decides about a change."""
        if self.never_with is not None and self.never_with.matches(change.labels):
            return False
        return self.selector.matches(change.labels)

    def key(self, change: Change) -> str:
        """Equal for what belongs together."""
        values = (change.labels.get(name, "") for name in self.group_by)
        return "\0".join([self.name, *values])


def rule_for(change: Change, rules: Sequence[Rule]) -> Rule | None:
    """The first rule that decides about a change."""
    return next((rule for rule in rules if rule.takes(change)), None)
