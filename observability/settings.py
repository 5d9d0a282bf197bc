"""The page of all settings, `docs/settings.md`, read off the configuration classes."""

import dataclasses
from collections.abc import Iterator
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from msgspec import Meta

from mesh.config import CommonConfig
from observability.services import in_the_mesh, services

_HEAD: Final = """# Settings

Made by `make observability` from the configuration classes. A service reads
`SENSUS_<SERVICE>_<NAME>` before `SENSUS_<NAME>`, so services that share an environment can differ.
A value that does not fit ends the start and names the variable; a name that is nearly a setting is
warned of in the log. Lists are separated by commas. Secrets are never logged.
"""
_OTHERS: Final = """## Read by libraries

| variable | what it does |
|---|---|
| `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` | exports traces there over OTLP/gRPC; without one nothing is exported |
| `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_EXPORTER_OTLP_CERTIFICATE`, `OTEL_EXPORTER_OTLP_INSECURE` | how to reach that collector |
| `OTEL_BSP_SCHEDULE_DELAY`, `OTEL_BSP_MAX_QUEUE_SIZE` | when spans are sent, and how many wait at most |
| `OTEL_RESOURCE_ATTRIBUTES` | more attributes of every span, such as `deployment.environment=prod` |
| `HTTPS_PROXY`, `NO_PROXY` | the way to language models; calls between services use no proxy |
| `NUMBA_CACHE_DIR` | where detector, ingest and topology keep compiled code, when its own folder is read-only |

## Read by `sensus up`

| variable | what it does |
|---|---|
| `SENSUS_POSTGRES_DSN` | your PostgreSQL in place of the embedded one |
| `SENSUS_REDIS_URL` | your Redis in place of the embedded one |
"""  # noqa: E501


def page() -> str:
    """The page as Markdown."""
    common = {field.name for field in dataclasses.fields(CommonConfig)}
    tables = [_table("Every service", CommonConfig, "SENSUS_", common)]
    for service in services():
        names = [field.name for field in dataclasses.fields(service.config)]
        inherited = common if service in in_the_mesh() else set()
        own = {name for name in names if name not in inherited or _differs(service.config, name)}
        prefix = "SENSUS_" if inherited else f"SENSUS_{service.name.upper()}_"
        tables.append(_table(service.name.capitalize(), service.config, prefix, own))
    return "\n\n".join([_HEAD.rstrip(), *tables, _OTHERS])


def _differs(config: type[Any], name: str) -> bool:
    return bool(_defaults(config)[name] != _defaults(CommonConfig)[name])


def _table(title: str, config: type[Any], prefix: str, names: set[str]) -> str:
    return "\n".join([f"## {title}", "", *_rows(config, prefix, names)])


def _rows(config: type[Any], prefix: str, names: set[str]) -> Iterator[str]:
    hints = get_type_hints(config, include_extras=True)
    defaults = _defaults(config)
    yield "| variable | default | allowed | meaning |"
    yield "|---|---|---|---|"
    for field in dataclasses.fields(config):
        if field.name in names:
            hint = hints[field.name]
            variable = f"{prefix}{field.name}".upper()
            meaning = _meaning(hint)
            default, allowed = _shown(defaults[field.name]), _allowed(hint)
            yield f"| `{variable}` | {default} | {allowed} | {meaning} |"


def _defaults(config: type[Any]) -> dict[str, Any]:
    return {field.name: field.default for field in dataclasses.fields(config)}


def _shown(default: object) -> str:
    if default is dataclasses.MISSING:
        return "**required**"
    if default in (None, "", ()):
        return ""
    text = ",".join(default) if isinstance(default, tuple) else default
    return f"`{text}`"


def _allowed(hint: Any) -> str:
    bounds = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    said = [
        f"{sign} {getattr(meta, name):g}"
        for meta in _metas(hint)
        for name, sign in bounds.items()
        if getattr(meta, name) is not None
    ]
    plain = get_args(hint)[0]
    if get_origin(plain) is Literal:
        said.append(", ".join(f"`{value}`" for value in get_args(plain)))
    return "; ".join(said)


def _meaning(hint: Any) -> str:
    metas = _metas(hint)
    text = next((meta.description for meta in metas if meta.description), "").replace("|", "\\|")
    is_secret = any((meta.extra or {}).get("secret") for meta in metas)
    return f"{text} (secret)" if is_secret else text


def _metas(hint: Any) -> list[Meta]:
    """The outermost first, so that a field's own words win over those of its type."""
    return [note for note in reversed(get_args(hint)) if isinstance(note, Meta)]
