"""A real Prometheus scrapes every service, loads the rules, and answers the dashboards."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from cli.product.tokens import user_token
from observability.dashboards import dashboards
from observability.rules import GROUPS
from observability.rules.render import RULE_FILES
from observability.rules.slo import RECORDING
from observability.scraping import configuration
from observability.services import REPOSITORY
from tests.e2e.scraping import pages
from tests.peers.conftest import program, running
from tests.ports import free_port
from tests.product import Door, eventually, webhook

pytestmark = [pytest.mark.peers, pytest.mark.timeout(600)]

PROMETHEUS = REPOSITORY / "observability/prometheus"
ALERTMANAGER = REPOSITORY / "observability/alertmanager/alertmanager.yml"


@asynccontextmanager
async def prometheus(
    directory: Path, targets: Mapping[str, str], alertmanager: str
) -> AsyncIterator[httpx.AsyncClient]:
    """A Prometheus with all rules, at a pace for tests; answers by its HTTP API."""
    config = configuration(
        targets,
        rules=tuple(str(PROMETHEUS / name) for name in RULE_FILES),
        alertmanager=alertmanager,
        pace="1s",
    )
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    command = [
        program("prometheus"),
        f"--config.file={directory}/prometheus.yml",
        f"--storage.tsdb.path={directory}/tsdb",
        f"--web.listen-address=127.0.0.1:{port}",
        "--enable-feature=exemplar-storage",
    ]
    async with (
        running(command, directory / "prometheus.log"),
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}/api/v1", trust_env=False, timeout=60
        ) as api,
    ):
        yield api


@asynccontextmanager
async def alertmanager(directory: Path, door: Door) -> AsyncIterator[str]:
    """An Alertmanager with the example's configuration, for this product; gives its address."""
    token_file = directory / "token"
    token_file.write_text(user_token(door.product.directory, scopes=["write:alerts"]))
    text = ALERTMANAGER.read_text()
    text = text.replace("http://gateway:8080", door.product.run.gateway_url)
    text = text.replace("/etc/alertmanager/secrets/sensus-token", str(token_file))
    text = text.replace("group_wait: 10s", "group_wait: 1s")
    (directory / "alertmanager.yml").write_text(text)
    port = free_port()
    command = [
        program("prometheus-alertmanager", "alertmanager"),
        f"--config.file={directory}/alertmanager.yml",
        f"--storage.path={directory}/alertmanager",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    async with running(command, directory / "alertmanager.log"):
        yield f"127.0.0.1:{port}"


async def asked(api: httpx.AsyncClient, query: str) -> list[Any]:
    """The series that a query gives now; fails when Prometheus refuses it."""
    answer = await api.get("/query", params={"query": query})
    assert answer.status_code != httpx.codes.BAD_REQUEST, (query, answer.text)
    answer.raise_for_status()
    return list(answer.json()["data"]["result"])


async def test_prometheus_scrapes_all_services_and_its_alerts_come_back_to_us(
    door: Door, tmp_path: Path
) -> None:
    body = webhook("SomethingToCount", starts_at="2026-01-01T00:00:00Z")
    (await door.http.post("/api/v1/alerts", json=body)).raise_for_status()
    await door.write("peers", {"a_metric": [(1_767_225_600_000, 1.0)]})
    scraped = {name: httpx.URL(url).netloc.decode() for name, url in pages(door).items()}
    gone = {"replica-that-stopped": f"127.0.0.1:{free_port()}"}
    async with (
        alertmanager(tmp_path, door) as address,
        prometheus(tmp_path, scraped | gone, address) as api,
    ):

        async def all_up() -> bool | None:
            up = {each["metric"]["service"]: each["value"][1] for each in await asked(api, "up")}
            return all(up.get(name) == "1" for name in scraped) or None

        await eventually(all_up, what="a scrape of every service")
        await rules_are_loaded(api)
        await eventually(lambda: budgets_are_recorded(api), what="the budgets of the objectives")
        await eventually(lambda: is_full(api, "overview"), what="figures in each panel")
        await every_panel_is_answered(api)
        alert = await eventually(
            lambda: told(door, "replica-that-stopped"), within_s=180, what="the alert about it"
        )
        assert alert["severity"] == "SEVERITY_CRITICAL"


async def rules_are_loaded(api: httpx.AsyncClient) -> None:
    """All of them, none with an error."""
    groups = (await api.get("/rules")).json()["data"]["groups"]
    loaded = [rule for group in groups for rule in group["rules"]]
    expected = sum(len(group.rules) for group in GROUPS) + len(RECORDING.records)
    assert len(loaded) == expected
    assert [rule["name"] for rule in loaded if rule["health"] == "err"] == []


async def budgets_are_recorded(api: httpx.AsyncClient) -> list[Any] | None:
    """What is left of each, once requests have been counted twice."""
    return await asked(api, "slo_error_budget_remaining") or None


def questions(name: str) -> dict[str, list[str]]:
    """PromQL of each panel of a dashboard."""
    whole = next(json.loads(each.text()) for each in dashboards() if each.name == name)
    return {
        panel["title"]: [
            target["expr"].replace("$__rate_interval", "1m")
            for target in panel["targets"]
            if "expr" in target
        ]
        for panel in whole["panels"]
    }


async def empty_panels(api: httpx.AsyncClient, name: str) -> list[str]:
    """Titles of the panels that have queries and show nothing."""
    empty = []
    for title, queries in questions(name).items():
        answers = [await asked(api, query) for query in queries]
        if queries and not any(answers):
            empty.append(title)
    return empty


async def is_full(api: httpx.AsyncClient, name: str) -> bool | None:
    """Whether each panel shows something: a rate needs a second scrape of what it counts."""
    return not await empty_panels(api, name) or None


async def every_panel_is_answered(api: httpx.AsyncClient) -> None:
    """No query of any dashboard is refused, whether or not it has something to show."""
    for each in dashboards():
        for queries in questions(each.name).values():
            for query in queries:
                await asked(api, query)


async def told(door: Door, service: str) -> dict[str, Any] | None:
    """The alert about a service as REST lists it, once it is there."""
    selector = f'{{alertname="SensusServiceDown",service="{service}"}}'
    answer = await door.http.get("/api/v1/alerts", params={"selector": selector})
    found = answer.json()["alerts"]
    return dict(found[0]) if found else None
