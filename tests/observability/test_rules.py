"""Rules ask for what exists, have a page, and do what their examples say."""

import re

import pytest

from observability.catalogue import series_names
from observability.rules import GROUPS, Rule, Severity
from observability.rules.slo import RECORDING
from observability.services import REPOSITORY, services
from tests.observability.queries import names_in
from tests.observability.validators import accepted, tool

RULES = [rule for group in GROUPS for rule in group.rules]
RECORDED = {record.name for record in RECORDING.records}
PROMETHEUS = REPOSITORY / "observability/prometheus"
RUNBOOKS = REPOSITORY / "docs/runbooks"


def name_of(rule: Rule) -> str:
    """The name of a test's case."""
    return rule.name


def test_there_are_rules_for_everything_that_features_name() -> None:
    assert len(RULES) >= 20
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert {rule.severity for rule in RULES} == set(Severity)


@pytest.mark.parametrize("rule", RULES, ids=name_of)
def test_rule_asks_for_metrics_that_exist(rule: Rule) -> None:
    asked = names_in(rule.expr)
    assert asked
    assert asked - series_names() - RECORDED - {"up"} == set()


@pytest.mark.parametrize("rule", RULES, ids=name_of)
def test_rule_has_a_page_that_says_what_to_do(rule: Rule) -> None:
    page = (RUNBOOKS / f"{rule.name}.md").read_text()
    assert re.findall(r"^#+ (.+)$", page, re.MULTILINE) == [
        rule.name,
        "What it means",
        "Where to look",
        "What to do",
    ]


def test_every_page_belongs_to_a_rule() -> None:
    pages = {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"}
    assert pages == {rule.name for rule in RULES}


@pytest.mark.parametrize("rule", RULES, ids=name_of)
def test_page_names_metrics_and_settings_that_exist(rule: Rule) -> None:
    page = (RUNBOOKS / f"{rule.name}.md").read_text()
    families = series_names() | {
        re.sub(r"_(bucket|sum|count)$", "", name) for name in series_names()
    }
    named = set(re.findall(r"\b(?:sensus|rpc_server)_[a-z_]+", page)) - {"sensus_tail"}
    assert named - families - RECORDED == set()
    settings = {
        f"SENSUS_{field}".upper()
        for each in services()
        for field in each.config.__dataclass_fields__
    }
    assert set(re.findall(r"\bSENSUS_[A-Z_]*[A-Z]\b", page)) - settings - {"SENSUS_RATE"} == set()


def test_recording_rules_ask_for_metrics_that_exist() -> None:
    for record in RECORDING.records:
        assert names_in(record.expr) - series_names() - RECORDED == set(), record.name


@pytest.mark.validators
def test_prometheus_accepts_its_configuration_and_the_rules() -> None:
    accepted([tool("promtool"), "check", "config", PROMETHEUS / "prometheus.yml"])


@pytest.mark.validators
@pytest.mark.parametrize("path", sorted(PROMETHEUS.glob("*.test.yml")), ids=lambda path: path.name)
def test_each_rule_fires_where_it_should_and_stays_quiet_elsewhere(path: str) -> None:
    accepted([tool("promtool"), "test", "rules", path])


@pytest.mark.validators
def test_alertmanager_accepts_the_example() -> None:
    example = REPOSITORY / "observability/alertmanager/alertmanager.yml"
    said = accepted([tool("amtool"), "check-config", example])
    assert "SUCCESS" in said


@pytest.mark.validators
@pytest.mark.parametrize(
    ("severity", "receivers"),
    [("critical", "people,sensus"), ("warning", "sensus"), ("info", "sensus")],
)
def test_alerts_go_back_into_the_gateway_and_critical_ones_to_people(
    severity: str, receivers: str
) -> None:
    example = REPOSITORY / "observability/alertmanager/alertmanager.yml"
    route = [tool("amtool"), "config", "routes", "test", f"--config.file={example}"]
    assert accepted([*route, f"severity={severity}", "alertname=X"]).strip() == receivers
