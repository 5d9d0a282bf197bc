"""The table of services, read off their configurations: ports, stores, and who calls whom.

A new service appears here by its `services/<name>/config.py`; whatever is generated or tested from
this table follows by itself.
"""

import dataclasses
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from mesh.config import CommonConfig

REPOSITORY: Final = Path(__file__).resolve().parent.parent
_TARGET: Final = "_target"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service.

    Attributes:
        ports: what it listens on, by name: `grpc`, `http`, `otlp_grpc`, `metrics`, …
        calls: the services that it calls.
        has_store: whether it keeps its state in PostgreSQL, in the schema of its name.
        uses_redis: whether it connects to Redis.
        config: the class of its settings.
    """

    name: str
    ports: dict[str, int]
    calls: tuple[str, ...]
    has_store: bool
    uses_redis: bool
    config: type[Any]

    @property
    def metrics_port(self) -> int:
        """Where `/metrics` is: a port of its own, or the one of HTTP."""
        return self.ports.get("metrics") or self.ports["http"]


@cache
def services() -> tuple[Service, ...]:
    """All services by name, the agent included."""
    places = sorted((REPOSITORY / "services").glob("*/config.py"))
    return tuple(_service(place.parent.name) for place in places)


def in_the_mesh() -> tuple[Service, ...]:
    """The services that answer gRPC and know each other, which the agent does not."""
    return tuple(each for each in services() if issubclass(each.config, CommonConfig))


def _service(name: str) -> Service:
    config = import_module(f"services.{name}.config").Config
    fields: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(config)}
    ports = {
        field.removesuffix("_port"): default
        for field, default in fields.items()
        if field.endswith("_port") and isinstance(default, int) and default
    }
    return Service(
        name=name,
        ports=ports,
        calls=tuple(
            sorted(
                field.removesuffix(_TARGET)
                for field in fields
                if field.endswith(_TARGET) and field != f"{name}{_TARGET}"
            )
        ),
        has_store="postgres_dsn" in fields,
        uses_redis="redis_url" in fields,
        config=config,
    )
