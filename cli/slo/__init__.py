"""Service level objectives of the gateway: what is promised, and whether it is kept.

from cli.slo import compliance, load_objectives, read_exposition

for each in compliance(read_exposition(metrics_text), load_objectives()):
print(each.route, each.availability, each.is_met)
"""

from cli.slo.compliance import Compliance, compliance, overall
from cli.slo.counts import RouteCounts, read_exposition, read_prometheus
from cli.slo.objectives import Objectives, load_objectives

__all__ = [
    "Compliance",
    "Objectives",
    "RouteCounts",
    "compliance",
    "load_objectives",
    "overall",
    "read_exposition",
    "read_prometheus",
]
