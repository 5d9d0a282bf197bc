"""From the environment to one frozen dataclass per service. Nothing else reads `os.environ`."""

import dataclasses
import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from mesh import ports

T = TypeVar("T")

_URL_PASSWORD = re.compile(r"(?<=://)([^:/@\s]*):[^@/\s]*@")
_NAMED_PASSWORD = re.compile(r"(?i)(password\s*=\s*)('[^']*'|[^&\s]+)")

_MEANT = 0.92
"""So alike are two names when one is the other with a slip of the pen."""

SECRET: dict[str, Any] = {"secret": True}
"""`Meta(extra=SECRET)`: the value is never logged."""

Port = Annotated[int, Meta(ge=0, le=65535)]
RedisUrl = Annotated[str, Meta(description="Redis, redis://:pw@host:6379/0")]


class ConfigError(Exception):
    """The environment is not usable; the message names the variable and what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonConfig:
    """The settings of every service. A service's own config inherits from it."""

    postgres_dsn: Annotated[str, Meta(description="PostgreSQL, postgresql://user:pw@host/db")]
    listen_host: Annotated[str, Meta(description="Address to listen on")] = "127.0.0.1"
    grpc_port: Annotated[Port, Meta(description="gRPC port; 0 takes a free one")]
    metrics_port: Annotated[Port, Meta(description="Port of /metrics; 0 serves none")] = 0
    auth_jwks_file: Annotated[Path, Meta(description="Public keys that are trusted, a JWKS file")]
    auth_key_file: Annotated[Path, Meta(description="This service's private Ed25519 key, PEM")]
    gateway_target: Annotated[
        str, Meta(description="Address of the gateway's gRPC port, which tells whose tokens hold")
    ] = f"127.0.0.1:{ports.GATEWAY_GRPC}"
    standing_grace_s: Annotated[
        float, Meta(ge=1, description="People are refused when the gateway is silent for so long")
    ] = 10.0
    tls_cert_file: Annotated[Path | None, Meta(description="Own certificate; turns mTLS on")] = None
    tls_key_file: Annotated[Path | None, Meta(description="Private key of the certificate")] = None
    tls_ca_file: Annotated[Path | None, Meta(description="CA that signs all services")] = None
    watchdog_s: Annotated[
        float,
        Meta(ge=0, description="No answer on the own port for so long ends the process; 0: never"),
    ] = 5.0
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], Meta(description="Least level that is logged")
    ] = "INFO"
    log_format: Annotated[
        Literal["json", "console"], Meta(description="json for machines, console for people")
    ] = "json"
    trace_sample_ratio: Annotated[
        float, Meta(ge=0, le=1, description="Share of traces kept; alerts and anomalies always are")
    ] = 0.01
    shutdown_notice_s: Annotated[
        float, Meta(ge=0, description="NOT_SERVING this long before draining; 5 in Kubernetes")
    ] = 0.0
    shutdown_grace_s: Annotated[
        float, Meta(ge=0, description="Longest wait for running calls to finish")
    ] = 10.0


def load(cls: type[T], environ: Mapping[str, str] | None = None, *, prefix: str = "") -> T:
    """Reads `cls` from `SENSUS_*` variables.

    Args:
        cls: A dataclass whose fields are annotated with `msgspec.Meta`.
        environ: Where to read; the process environment by default.
        prefix: `INGEST` makes `SENSUS_INGEST_GRPC_PORT` win over `SENSUS_GRPC_PORT`.

    Raises:
        ConfigError: A variable is missing or its value is not usable.
    """
    source = os.environ if environ is None else environ
    hints = get_type_hints(cls, include_extras=True)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        variable = _variable(field.name, source, prefix)
        raw = source.get(variable, "").strip()
        if raw:
            values[field.name] = _convert(variable, raw, hints[field.name])
        elif _required(field):
            raise ConfigError(f"{variable} is not set: {_meaning(hints[field.name])}")
    return cls(**values)


def misspelt(
    cls: type[object], environ: Mapping[str, str] | None = None, *, prefix: str = ""
) -> dict[str, str]:
    """Variables that seem meant for `cls` and are not read, each with the nearest that is.

    Services may share one environment, so only those count that carry the prefix, or that are
    nearly the name of a setting. Addresses of services are read by the others.
    """
    own = {f"SENSUS_{name}".upper() for name in getattr(cls, "__dataclass_fields__", ())}
    prefixed = f"SENSUS_{prefix}_".upper()
    if prefix:
        own |= {name.replace("SENSUS_", prefixed) for name in own}
    unread = (name for name in (os.environ if environ is None else environ) if name not in own)
    found: dict[str, str] = {}
    for name in unread:
        is_prefixed = bool(prefix) and name.startswith(prefixed) and not name.endswith("_TARGET")
        if is_prefixed or name.startswith("SENSUS_"):
            cutoff = 0.0 if is_prefixed else _MEANT
            found.update((name, near) for near in difflib.get_close_matches(name, own, 1, cutoff))
    return found


def exports_traces(environ: Mapping[str, str] | None = None) -> bool:
    """Whether OpenTelemetry's own variables name a collector."""
    source = os.environ if environ is None else environ
    names = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    return any(source.get(name, "").strip() for name in names)


def describe(config: object) -> dict[str, object]:
    """What may be logged of a config: secrets are hidden, addresses lose their password."""
    hints = get_type_hints(type(config), include_extras=True)
    return {
        field.name: _shown(getattr(config, field.name), hints[field.name])
        for field in dataclasses.fields(config)  # type: ignore[arg-type]
    }


def named_secret(variable: str, environ: Mapping[str, str] | None = None) -> str:
    """A secret whose variable is named by another setting.

    Raises:
        ConfigError: It is not set. The message names the variable, never a value.
    """
    value = (os.environ if environ is None else environ).get(variable, "").strip()
    if not value:
        raise ConfigError(f"{variable} is not set: a setting names it as the place of a secret")
    return value


def child_environment(changes: Mapping[str, str]) -> dict[str, str]:
    """The environment for a child process: our own, with `changes` on top."""
    return {**os.environ, **changes}


def _variable(name: str, source: Mapping[str, str], prefix: str) -> str:
    own = f"SENSUS_{prefix}_{name}".upper()
    return own if prefix and source.get(own, "").strip() else f"SENSUS_{name}".upper()


def _required(field: "dataclasses.Field[Any]") -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


def _convert(variable: str, raw: str, hint: Any) -> Any:
    value: object = [part.strip() for part in raw.split(",")] if _is_sequence(hint) else raw
    try:
        return msgspec.convert(value, hint, strict=False, dec_hook=_decode)
    except (msgspec.ValidationError, ValueError) as error:
        shown = "its value" if _is_secret(hint) else repr(_without_password(raw))
        raise ConfigError(f"{variable}: {shown} does not fit: {error}. {_meaning(hint)}") from None


def _decode(wanted: type, value: Any) -> Any:
    if wanted is Path:
        try:
            return Path(value).expanduser()
        except RuntimeError as error:  # ~name of nobody
            raise ValueError(error) from None
    raise NotImplementedError(wanted)


def _is_sequence(hint: Any) -> bool:
    plain = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    return get_origin(plain) in (tuple, list)


def _metas(hint: Any) -> list[Meta]:
    return [note for note in get_args(hint)[1:] if isinstance(note, Meta)]


def _meaning(hint: Any) -> str:
    return next((meta.description for meta in _metas(hint) if meta.description), "no description")


def _is_secret(hint: Any) -> bool:
    return any((meta.extra or {}).get("secret") for meta in _metas(hint))


def _shown(value: object, hint: Any) -> object:
    if _is_secret(hint):
        return "***" if value else value
    if isinstance(value, str):
        return _without_password(value)
    if isinstance(value, tuple):
        return tuple(_without_password(each) if isinstance(each, str) else each for each in value)
    return str(value) if isinstance(value, Path) else value


def _without_password(text: str) -> str:
    return _NAMED_PASSWORD.sub(r"\1***", _URL_PASSWORD.sub(r"\1:***@", text))
