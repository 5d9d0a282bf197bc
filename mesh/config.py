"""From the environment to one frozen dataclass per service. Nothing else reads `os.environ`."""

import dataclasses
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

T = TypeVar("T")

_URL_PASSWORD = re.compile(r"(?<=://)([^:/@\s]*):[^@/\s]*@")
_NAMED_PASSWORD = re.compile(r"(?i)(password\s*=\s*)('[^']*'|[^&\s]+)")

SECRET: dict[str, Any] = {"secret": True}
"""`Meta(extra=SECRET)`: the value is never logged."""

Port = Annotated[int, Meta(ge=0, le=65535)]
RedisUrl = Annotated[str, Meta(description="Redis, redis://:pw@host:6379/0")]


class ConfigError(Exception):
    """The environment is not usable; the message names the variable and what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What every service is told. A service's own config inherits from it."""

    postgres_dsn: Annotated[str, Meta(description="PostgreSQL, postgresql://user:pw@host/db")]
    listen_host: Annotated[str, Meta(description="Address to listen on")] = "127.0.0.1"
    grpc_port: Annotated[Port, Meta(description="gRPC port; 0 takes a free one")]
    metrics_port: Annotated[Port, Meta(description="Port of /metrics; 0 serves none")] = 0
    auth_jwks_file: Annotated[Path, Meta(description="Public keys that are trusted, a JWKS file")]
    auth_key_file: Annotated[Path, Meta(description="This service's private Ed25519 key, PEM")]
    tls_cert_file: Annotated[Path | None, Meta(description="Own certificate; turns mTLS on")] = None
    tls_key_file: Annotated[Path | None, Meta(description="Private key of the certificate")] = None
    tls_ca_file: Annotated[Path | None, Meta(description="CA that signs all services")] = None
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
        return Path(value).expanduser()
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
