"""One panel: a title, its queries, how its numbers are shown; and its JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

PROMETHEUS: Final = {"type": "prometheus", "uid": "${prometheus}"}
POSTGRES: Final = {"type": "grafana-postgresql-datasource", "uid": "sensus-postgres"}
COLUMNS: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """PromQL, and what its series are called: `{{label}}` stands for a label's value."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A picture of some queries.

    Attributes:
        unit: Grafana's name of the unit: `s`, `bytes`, `short`, `reqps`, `percentunit`.
        description: Shown beside the title: what to do when it moves.
        kind: `timeseries`, `stat` or `table`.
        width: Columns of 24.
        sql: A table's question to PostgreSQL, in place of queries.
    """

    title: str
    queries: Sequence[Query] = ()
    unit: str = "short"
    description: str = ""
    kind: str = "timeseries"
    width: int = 8
    height: int = 7
    sql: str = ""

    def as_json(self, number: int, x: int, y: int) -> dict[str, Any]:
        """The panel at a place of the grid; `number` is unique in its dashboard."""
        targets = [_sql_target(self.sql)] if self.sql else _targets(self.queries)
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": POSTGRES if self.sql else PROMETHEUS,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": self.height},
            "fieldConfig": {"defaults": {"unit": self.unit}, "overrides": []},
            "options": _OPTIONS.get(self.kind, {}),
            "targets": targets,
        }


_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "timeseries": {"legend": {"displayMode": "list", "placement": "bottom"}},
    "stat": {"reduceOptions": {"calcs": ["lastNotNull"]}, "graphMode": "area"},
}


def _targets(queries: Sequence[Query]) -> list[dict[str, Any]]:
    return [
        {
            "refId": chr(ord("A") + index),
            "datasource": PROMETHEUS,
            "expr": query.expr,
            "legendFormat": query.legend or "__auto",
            "exemplar": "_bucket" in query.expr,
        }
        for index, query in enumerate(queries)
    ]


def _sql_target(sql: str) -> dict[str, Any]:
    return {"refId": "A", "datasource": POSTGRES, "format": "table", "rawSql": sql}
