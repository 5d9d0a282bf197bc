"""Threshold rules, to and from the wire."""

import dataclasses
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration

from mesh.errors import InvalidInput, Violation
from mesh.selector import SelectorError, parse
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from services.detector.convert.anomalies import timestamp_of
from services.detector.model import rules
from services.detector.model.rules import Rule

_FIELDS: Final = {
    "name": "name",
    "selector": "selector",
    "comparison": "comparison",
    "warning": "warning",
    "critical": "critical",
    "hysteresis": "hysteresis",
    "hold_duration": "hold_ms",
    "series_kind": "series_kind",
    "enabled": "enabled",
}
"""Fields a caller may set, and what they are called in the domain."""


def rule_message(rule: Rule) -> detector_pb.Rule:
    """The rule as the contract has it."""
    hold = Duration()
    hold.FromMilliseconds(rule.hold_ms)
    return detector_pb.Rule(
        rule_id=rule.rule_id,
        name=rule.name,
        selector=rule.selector,
        comparison=detector_pb.RuleComparison.ValueType(rule.comparison),
        warning=rule.warning,
        critical=rule.critical,
        hysteresis=rule.hysteresis,
        hold_duration=hold,
        series_kind=detector_pb.SeriesKind.ValueType(rule.series_kind),
        enabled=rule.enabled,
        create_time=timestamp_of(rule.created_at),
        update_time=timestamp_of(rule.updated_at),
    )


def new_rule(message: detector_pb.Rule) -> Rule:
    """A rule to be stored.

    Raises:
        InvalidInput: INVALID_RULE or INVALID_SELECTOR.
    """
    return _checked(Rule(rule_id="", **{_FIELDS[name]: _value(message, name) for name in _FIELDS}))


def changed_rule(rule: Rule, request: detector_pb.UpdateRuleRequest) -> Rule:
    """The rule with the fields of the mask as the request has them.

    Raises:
        InvalidInput: INVALID_RULE, INVALID_SELECTOR or INVALID_UPDATE_MASK.
    """
    changes = {_FIELDS[name]: _value(request.rule, name) for name in _named(request)}
    return _checked(dataclasses.replace(rule, **changes))


def _named(request: detector_pb.UpdateRuleRequest) -> list[str]:
    paths = list(request.update_mask.paths)
    if paths == ["*"]:
        return list(_FIELDS)
    unknown = [path for path in paths if path not in _FIELDS]
    if unknown:
        message = f"no field {unknown[0]!r} to update: use {', '.join(_FIELDS)} or *"
        violations = [Violation("update_mask", message)]
        raise InvalidInput(message, reason="INVALID_UPDATE_MASK", violations=violations)
    set_fields = {field.name for field, _ in request.rule.ListFields()}
    return paths or [name for name in _FIELDS if name in set_fields]


def _value(message: detector_pb.Rule, name: str) -> Any:
    match name:
        case "warning" | "critical":
            return getattr(message, name) if message.HasField(name) else None
        case "enabled":
            return message.enabled if message.HasField("enabled") else True
        case "hold_duration":
            hold = message.hold_duration
            return hold.seconds * 1000 + hold.nanos // 1_000_000
    return getattr(message, name)


def _checked(rule: Rule) -> Rule:
    try:
        selector = parse(rule.selector)
    except SelectorError as error:
        violations = [Violation("rule.selector", str(error))]
        message = f"rule.selector: {error}"
        raise InvalidInput(message, reason="INVALID_SELECTOR", violations=violations) from None
    rules.check(rule, selector)
    return rule
