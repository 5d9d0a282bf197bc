"""A dashboard: panels that fill rows from left to right, and its JSON."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from observability.dashboards.panel import COLUMNS, Panel

_SCHEMA: Final = 39
_VARIABLE: Final = {
    "name": "prometheus",
    "label": "Prometheus",
    "type": "datasource",
    "query": "prometheus",
    "current": {"text": "Prometheus", "value": "sensus-prometheus"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """What is looked at together; `name` is part of its address and never changes."""

    name: str
    title: str
    panels: Sequence[Panel]

    def text(self) -> str:
        """As Grafana reads it from a file."""
        return json.dumps(self._as_json(), indent=1) + "\n"

    def _as_json(self) -> dict[str, Any]:
        return {
            "uid": f"sensus-{self.name}",
            "title": f"Sensus: {self.title}",
            "tags": ["sensus"],
            "schemaVersion": _SCHEMA,
            "version": 1,
            "editable": True,
            "refresh": "30s",
            "time": {"from": "now-3h", "to": "now"},
            "timezone": "",
            "templating": {"list": [_VARIABLE]},
            "annotations": {"list": []},
            "panels": list(self._placed()),
        }

    def _placed(self) -> Iterator[dict[str, Any]]:
        x = y = tallest = 0
        for number, panel in enumerate(self.panels, start=1):
            if x + panel.width > COLUMNS:
                x, y, tallest = 0, y + tallest, 0
            yield panel.as_json(number, x, y)
            x, tallest = x + panel.width, max(tallest, panel.height)
