"""What each service may use at most, read off its Kubernetes manifest."""

from dataclasses import dataclass
from functools import cache
from typing import Final

import yaml

from observability.services import REPOSITORY

_UNITS: Final = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Limits of one container."""

    memory_bytes: int
    cpus: float


@cache
def limits() -> dict[str, Limit]:
    """By service, for each that has a manifest."""
    found: dict[str, Limit] = {}
    for path in sorted((REPOSITORY / "k8s").glob("**/*.yaml")):
        for item in yaml.load_all(path.read_text(), yaml.CSafeLoader):
            found |= _of(item) if item else {}
    return found


def _of(item: dict[str, object]) -> dict[str, Limit]:
    match item:
        case {"spec": {"template": {"spec": {"containers": list(containers)}}}}:
            return {
                each["name"]: Limit(
                    memory_bytes=_bytes(each["resources"]["limits"]["memory"]),
                    cpus=_cpus(each["resources"]["limits"]["cpu"]),
                )
                for each in containers
                if str(each.get("image", "")).startswith("sensus")
            }
        case _:
            return {}


def _bytes(text: str) -> int:
    return int(text[:-2]) * _UNITS[text[-2:]]


def _cpus(text: str) -> float:
    return int(text[:-1]) / 1000 if text.endswith("m") else float(text)
