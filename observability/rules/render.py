"""Rules as Prometheus reads them, and their examples as promtool does."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import yaml

from observability.rules import GROUPS
from observability.rules.rule import Group, Record, Rule
from observability.rules.slo import RECORDING

RUNBOOKS: Final = "docs/runbooks"
RULE_FILES: Final = tuple(f"{group.name}.rules.yml" for group in (*GROUPS, RECORDING))
_HEAD: Final = "# Made by `make observability`; see observability/rules.\n"


def texts() -> dict[str, str]:
    """Every file by name: the rules of each group, and their examples.

    A file for each group, so that an example is tried on the rules of its group alone; examples of
    one group that go at different paces have a file each.
    """
    rules = {
        f"{group.name}.rules.yml": _text({"groups": [_group(group)]})
        for group in (*GROUPS, RECORDING)
    }
    paces = {(group.name, rule.every): group for group in GROUPS for rule in group.rules}
    examples = {
        f"{name}.{pace}.test.yml": _text(_examples(group, pace))
        for (name, pace), group in paces.items()
    }
    return rules | examples


def _examples(group: Group, pace: str) -> dict[str, Any]:
    return {
        "rule_files": [f"{group.name}.rules.yml"],
        "evaluation_interval": pace,
        "tests": [case for rule in group.rules if rule.every == pace for case in _cases(rule)],
    }


def _group(group: Group) -> dict[str, Any]:
    records = [_record(record) for record in group.records]
    return {"name": group.name, "rules": [*records, *(_rule(rule) for rule in group.rules)]}


def _record(record: Record) -> dict[str, Any]:
    labels = {"labels": dict(record.labels)} if record.labels else {}
    return {"record": record.name, "expr": record.expr, **labels}


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "alert": rule.name,
        "expr": rule.expr,
        "for": rule.lasts,
        "labels": {"severity": str(rule.severity)},
        "annotations": {"summary": rule.summary, "runbook": _runbook(rule)},
    }


def _cases(rule: Rule) -> Iterable[dict[str, Any]]:
    fired = {
        "exp_labels": {**rule.labels, "severity": str(rule.severity)},
        "exp_annotations": {"summary": rule.told, "runbook": _runbook(rule)},
    }
    yield _case(rule, "fires", rule.fires, [fired])
    yield _case(rule, "stays quiet", rule.quiet, [])


def _case(
    rule: Rule, what: str, series: Mapping[str, str], expected: list[dict[str, Any]]
) -> dict[str, Any]:
    of = " ".join(rule.labels.values())
    return {
        "name": f"{rule.name} {of} {what}",
        "interval": rule.every,
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [
            {"eval_time": rule.after, "alertname": rule.name, "exp_alerts": expected}
        ],
    }


def _runbook(rule: Rule) -> str:
    return f"{RUNBOOKS}/{rule.name}.md"


def _text(document: dict[str, Any]) -> str:
    return _HEAD + yaml.safe_dump(document, sort_keys=False, width=100, allow_unicode=True)
