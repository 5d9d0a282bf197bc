"""Dashboards ask for what exists, in PromQL and SQL that their servers accept."""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import yaml

from observability.catalogue import metrics, series_names
from observability.dashboards import Dashboard, dashboards
from observability.rules.slo import RECORDING
from observability.services import REPOSITORY
from tests.observability.queries import names_in
from tests.observability.validators import accepted, tool

DASHBOARDS = dashboards()
RECORDED = {record.name for record in RECORDING.records}
PROVISIONING = REPOSITORY / "observability/grafana/provisioning"
INTERVAL = "$__rate_interval"


def panels(dashboard: Dashboard) -> list[dict[str, Any]]:
    """Its panels as Grafana gets them."""
    return list(json.loads(dashboard.text())["panels"])


def expressions(dashboard: Dashboard) -> list[str]:
    """Every PromQL of it."""
    return [
        target["expr"]
        for panel in panels(dashboard)
        for target in panel["targets"]
        if "expr" in target
    ]


def name_of(dashboard: Dashboard) -> str:
    """The name of a test's case."""
    return dashboard.name


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=name_of)
def test_panels_have_titles_descriptions_and_places_of_their_own(dashboard: Dashboard) -> None:
    shown = panels(dashboard)
    assert len({panel["id"] for panel in shown}) == len(shown)
    assert all(panel["title"] and panel["description"] for panel in shown)
    for one, other in combinations([panel["gridPos"] for panel in shown], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=name_of)
def test_panels_ask_for_metrics_that_exist(dashboard: Dashboard) -> None:
    for expression in expressions(dashboard):
        asked = names_in(expression)
        assert asked, expression
        assert asked - series_names() - RECORDED - {"up"} == set()


def test_every_metric_is_on_a_dashboard() -> None:
    asked = {name for each in DASHBOARDS for text in expressions(each) for name in names_in(text)}
    assert [each.name for each in metrics() if not asked & set(each.series)] == []


def test_addresses_of_dashboards_are_stable_and_different() -> None:
    addresses = [json.loads(each.text())["uid"] for each in DASHBOARDS]
    assert len(set(addresses)) == len(addresses)
    assert {"sensus-overview", "sensus-slo", "sensus-ingest", "sensus-gateway"} <= set(addresses)
    assert all(re.fullmatch(r"[a-z-]{1,40}", address) for address in addresses)


def test_data_sources_that_dashboards_use_are_provisioned() -> None:
    provisioned = yaml.safe_load((PROVISIONING / "datasources/sensus.yml").read_text())
    known = {source["uid"]: source["type"] for source in provisioned["datasources"]}
    for dashboard in DASHBOARDS:
        whole = json.loads(dashboard.text())
        (variable,) = whole["templating"]["list"]
        assert known[variable["current"]["value"]] == variable["query"]
        for panel in whole["panels"]:
            source = panel["datasource"]
            assert source["uid"] == "${prometheus}" or known[source["uid"]] == source["type"]


async def test_questions_to_postgresql_are_answered(migrated_dsn: str) -> None:
    asked = [
        target["rawSql"]
        for dashboard in DASHBOARDS
        for panel in panels(dashboard)
        for target in panel["targets"]
        if "rawSql" in target
    ]
    assert asked
    connection = await asyncpg.connect(migrated_dsn)
    try:
        for sql in asked:
            within = r"\1 BETWEEN now() - interval '3h' AND now()"
            await connection.fetch(re.sub(r"\$__timeFilter\(([^)]+)\)", within, sql))
    finally:
        await connection.close()


@pytest.mark.validators
def test_promtool_parses_every_question_to_prometheus(tmp_path: Path) -> None:
    asked = sorted({text for each in DASHBOARDS for text in expressions(each)})
    rules = [
        {"record": f"panel_{number}", "expr": text.replace(INTERVAL, "5m")}
        for number, text in enumerate(asked)
    ]
    path = tmp_path / "panels.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    assert f"{len(asked)} rules found" in accepted([tool("promtool"), "check", "rules", path])
