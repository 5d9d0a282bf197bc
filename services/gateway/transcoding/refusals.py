"""What protobuf says of JSON that does not fit, as a violation with the path of the field."""

import re
from typing import Final

from mesh.errors import InvalidInput, Violation

_UNKNOWN: Final = re.compile(r'no field named "(?P<name>.*?)" at "[A-Za-z0-9_]+\.?(?P<path>.*?)"')
_STEP: Final = re.compile(r"Failed to parse (\S+) field: ")
_PLACE: Final = re.compile(r"(?: at [A-Za-z0-9_]+(?:\.(?P<path>\S*?))?)?\.*$")


def refusal(text: str) -> InvalidInput:
    """Reads an error text of json_format."""
    text = text.partition("\n")[0]
    if match := _UNKNOWN.search(text):
        path = ".".join(part for part in (match["path"], match["name"]) if part)
        return _invalid(path, "there is no such field", "UNKNOWN_FIELD")
    steps = _STEP.findall(text)
    rule = _STEP.sub("", text)
    place = _PLACE.search(rule)
    path = (place["path"] if place else "") or ".".join(steps)
    rule = _PLACE.sub("", rule)[:200]
    return _invalid(path, rule, "INVALID_FIELD")


def _invalid(path: str, rule: str, reason: str) -> InvalidInput:
    message = f"{path}: {rule}" if path else rule
    violations = [Violation(path, rule)] if path else []
    return InvalidInput(message, reason=reason, violations=violations)
