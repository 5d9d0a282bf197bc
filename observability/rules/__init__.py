"""Alerting rules: each declared once, with an example that fires it and one that does not."""

from typing import Final

from observability.rules import analysis, availability, resources, slo, traffic
from observability.rules.rule import Group, Rule, Severity

GROUPS: Final = (
    availability.GROUP,
    traffic.GROUP,
    analysis.GROUP,
    resources.GROUP,
    slo.BURNING,
)

__all__ = ["GROUPS", "Group", "Rule", "Severity"]
