"""YAML of people, read with care: bounded, without types, faults named by their place."""

import re
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import msgspec
import yaml

T = TypeVar("T")

TEXT_BYTES_MAX: Final = 1024 * 1024
NODES_MAX: Final = 100_000
DEPTH_MAX: Final = 64

_UNIT_S: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}
_DURATION: Final = re.compile(
    r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?"
)


@dataclass(slots=True)
class Faults:
    """What is wrong with a text, each fault with its place: `route.routes[2].receiver`."""

    found: list[tuple[str, str]] = field(default_factory=list)

    def add(self, path: str, should: str) -> None:
        """Notes one."""
        self.found.append((path, should))


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads every scalar as it is written: `on` is no truth and `1e3` no number."""

    yaml_implicit_resolvers: Final = {"<": [("tag:yaml.org,2002:merge", re.compile("^<<$"))]}


def mapping(text: str, faults: Faults) -> dict[str, Any]:
    """The mapping that a text is; an empty one, with a fault, when it is none.

    Cost: holds the thread for up to a second per megabyte.
    """
    if len(text.encode(errors="replace")) > TEXT_BYTES_MAX:
        faults.add("", f"be at most {TEXT_BYTES_MAX} bytes")
        return {}
    try:
        found = yaml.load(text, _Loader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        faults.add("", f"be YAML: {_why(error)}")
        return {}
    if (reason := _excess(found)) or not isinstance(found, dict):
        faults.add("", reason or "be a mapping, such as `route: …`")
        return {}
    return found


def convert(node: Any, wanted: type[T], path: str, faults: Faults) -> T | None:
    """A node as a struct; None, with a fault, when it does not fit."""
    try:
        return msgspec.convert(node if node != "" else {}, wanted, strict=False, str_keys=True)
    except msgspec.ValidationError as error:
        why, _, place = str(error).partition(" - at `$")
        faults.add(f"{path}{place.rstrip('`')}".lstrip("."), _lowered(why))
        return None


def seconds(text: str, path: str, faults: Faults) -> float:
    """A duration as Prometheus writes it.

    >>> seconds("1h30m", "", Faults()), seconds("0", "", Faults())
    (5400.0, 0.0)
    """
    found = _DURATION.fullmatch(text)
    if text == "0" or found is None or not text or len(text) > 40:
        if text != "0":
            faults.add(path, f"be a duration such as 30s, 5m or 1h30m, not {text[:40]!r}")
        return 0.0
    units = ("y", "w", "d", "h", "m", "s", "ms")
    total = sum(int(n) * _UNIT_S[unit] for n, unit in zip(found.groups(), units, strict=True) if n)
    if total > 10 * _UNIT_S["y"]:
        faults.add(path, "be at most ten years")
        return 0.0
    return float(total)


def _excess(root: Any) -> str:
    """Why a document is more than is read; aliases count each time they stand for something."""
    waiting, nodes = [(root, 0)], 0
    while waiting:
        node, depth = waiting.pop()
        nodes += 1
        if depth > DEPTH_MAX:
            return f"be nested at most {DEPTH_MAX} deep: an anchor may refer to itself"
        if nodes > NODES_MAX:
            return f"have at most {NODES_MAX} entries, those of aliases counted"
        if isinstance(node, dict):
            waiting += [(each, depth + 1) for each in node.values()]
        elif isinstance(node, list):
            waiting += [(each, depth + 1) for each in node]
    return ""


def _why(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)[:200] or type(error).__name__
    return f"line {mark.line + 1}: {problem}" if mark else str(problem)


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]
