"""Which metrics a PromQL expression asks for."""

import re

_STRING = re.compile(r'"(?:\\.|[^"\\])*"')
_BRACES = re.compile(r"\{[^}]*\}")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_NAME = re.compile(r"\b(?:sensus|rpc|slo|process|up)(?:_[a-z0-9_]+)?\b(?!\s*\()")


def names_in(expression: str) -> set[str]:
    """Names of series; those of our own prefixes, of processes, and `up`."""
    plain = _GROUPING.sub(" ", _BRACES.sub(" ", _STRING.sub('""', expression)))
    return set(_NAME.findall(plain))
