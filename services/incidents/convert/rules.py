"""Grouping rules, in and out."""

from google.protobuf.duration_pb2 import Duration

from sensus.incidents.v1 import incidents_service_pb2 as pb
from services.incidents.convert.common import invalid, selector, text
from services.incidents.store.rules import RULES_MAX, StoredRule

_WINDOW_S = (10, 86_400)
_DEFAULT_WINDOW_MS = 300_000
_LABELS_MAX = 20


def stored_rule(rule: pb.GroupingRule, rule_id: str = "") -> StoredRule:
    """A rule of a request.

    Raises:
        InvalidInput: INVALID_RULE or INVALID_SELECTOR.
    """
    name = text("rule.name", rule.name, 100, "INVALID_RULE", least=1)
    selector(rule.selector, "rule.selector")
    selector(rule.never_with, "rule.never_with")
    names = tuple(dict.fromkeys(rule.group_by))
    if len(names) > _LABELS_MAX or any(not 1 <= len(each) <= 128 or "\0" in each for each in names):
        raise invalid("rule.group_by", f"name at most {_LABELS_MAX} labels", "INVALID_RULE")
    window_ms = rule.window.seconds * 1000 + rule.window.nanos // 1_000_000
    if rule.HasField("window") and not _WINDOW_S[0] <= window_ms / 1000 <= _WINDOW_S[1]:
        raise invalid("rule.window", "must be 10 s to 24 h", "INVALID_RULE")
    return StoredRule(
        rule_id=rule_id,
        name=name,
        selector=rule.selector,
        group_by=names,
        window_ms=window_ms or _DEFAULT_WINDOW_MS,
        never_with=rule.never_with,
        priority=rule.priority,
    )


def previewed(request: pb.PreviewGroupingRequest) -> list[StoredRule]:
    """The rules of a preview.

    Raises:
        InvalidInput: INVALID_RULE or INVALID_SELECTOR.
    """
    if len(request.rules) > RULES_MAX:
        raise invalid("rules", f"send at most {RULES_MAX}", "INVALID_RULE")
    rules = [stored_rule(each) for each in request.rules]
    return sorted(rules, key=lambda each: (each.priority, each.name))


def rule(known: StoredRule) -> pb.GroupingRule:
    """A rule for the wire."""
    return pb.GroupingRule(
        rule_id=known.rule_id,
        name=known.name,
        selector=known.selector,
        group_by=known.group_by,
        window=Duration(seconds=known.window_ms // 1000, nanos=known.window_ms % 1000 * 10**6),
        never_with=known.never_with,
        priority=known.priority,
    )
