"""Routing trees and label sets, drawn as they come or as hypothesis wants them."""

from random import Random
from typing import Any

NAMES = ("team", "severity", "service", "env", "tier")
VALUES = ("db", "web", "critical", "warning", "a b", "x,y", 'q"t', "", "prod-1", "päge", "a\nb")
PATTERNS = ("db|web", "crit.*", "", ".+", "prod-[0-9]", ".*", "[^d].*", "a.b", "(?i)DB")


def tree(random: Random) -> dict[str, Any]:
    """The `route` of a configuration; its receivers are r0 to r9."""
    return {"receiver": "r0", **_below(random, 0)}


def labels(random: Random) -> dict[str, str]:
    """A label set that trees are likely to speak of."""
    names = [name for name in NAMES if random.random() < 0.6]
    return {name: random.choice(VALUES) for name in names}


def _route(random: Random, depth: int) -> dict[str, Any]:
    node: dict[str, Any] = {}
    if random.random() < 0.8:
        node["receiver"] = f"r{random.randrange(10)}"
    form = random.random()
    names = [random.choice(NAMES) for _ in range(random.randrange(3))]
    if form < 0.2:
        node["match"] = {name: random.choice(VALUES) for name in names}
    elif form < 0.4:
        node["match_re"] = {name: random.choice(PATTERNS) for name in names}
    else:
        node["matchers"] = [_matcher(random, name) for name in names]
    if random.random() < 0.35:
        node["continue"] = True
    return node | _below(random, depth + 1)


def _below(random: Random, depth: int) -> dict[str, Any]:
    if depth > 3 or random.random() < 0.3 * depth:
        return {}
    return {"routes": [_route(random, depth) for _ in range(random.randrange(1, 4))]}


def _matcher(random: Random, name: str) -> str:
    operator = random.choice(("=", "!=", "=~", "!~"))
    value = random.choice(PATTERNS if "~" in operator else VALUES)
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    blank = random.choice(("", " "))
    return f'{name}{blank}{operator}{blank}"{escaped}"'
