"""What a rule is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Severity(StrEnum):
    """How soon somebody should look: now, today, when there is time."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """An alerting rule and its two examples.

    Attributes:
        name: The alert's name; its page is `docs/runbooks/<name>.md`.
        expr: PromQL that gives a series for each thing that is wrong.
        lasts: How long that must hold before it is told, as Prometheus writes durations.
        severity: How soon somebody should look.
        summary: One sentence; `{{ $labels.x }}` stands for a label of the result.
        fires: Series that fire it, each with its values, as promtool writes them.
        quiet: Series that look alike and do not.
        labels: What the fired alert is labelled with, beside its name and severity.
        every: How far the values of the examples lie apart.
        after: When both examples are looked at.
    """

    name: str
    expr: str
    severity: Severity
    summary: str
    fires: Mapping[str, str]
    quiet: Mapping[str, str]
    labels: Mapping[str, str] = field(default_factory=dict)
    lasts: str = "5m"
    every: str = "1m"
    after: str = "20m"

    @property
    def told(self) -> str:
        """The summary of the example that fires."""
        text = self.summary
        for name, value in self.labels.items():
            text = text.replace(f"{{{{ $labels.{name} }}}}", value)
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A recording rule: `expr` is kept as the series `name`."""

    name: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Rules that are evaluated one after the other."""

    name: str
    rules: tuple[Rule, ...] = ()
    records: tuple[Record, ...] = ()
