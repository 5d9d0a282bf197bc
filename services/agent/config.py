"""What the agent can be told: by the environment, then a file, then the defaults."""

import re
import socket
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Final, Literal

from msgspec import Meta

from mesh import ports
from mesh.config import SECRET, ConfigError, Port, child_environment, load
from mesh.files import state_of
from sensus_client import check_labels

PREFIX: Final = "agent"

_LABEL: Final = re.compile(r"([a-zA-Z_][a-zA-Z0-9_]*)=(.+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings of the agent: SENSUS_AGENT_<NAME>, or <name> in the file."""

    config_file: Annotated[
        Path | None,
        Meta(description="TOML file with any of the others; read again when changed"),
    ] = None
    interval_s: Annotated[
        float, Meta(ge=1, le=3600, description="From one reading of the machine to the next")
    ] = 15.0
    host: Annotated[str, Meta(description="Label `instance`; the host name when empty")] = ""
    labels: Annotated[
        tuple[str, ...], Meta(description="More labels of every series, name=value")
    ] = ()
    top_processes: Annotated[
        int, Meta(ge=0, le=100, description="Process names by CPU, memory and I/O, so many of each")
    ] = 20
    ingest_target: Annotated[str, Meta(description="ingest, host:port or dns:///name:port")] = (
        f"127.0.0.1:{ports.INGEST}"
    )
    token_file: Annotated[
        Path | None, Meta(description="A token with the scope write:samples; may be renewed")
    ] = None
    tls_ca_file: Annotated[Path | None, Meta(description="CA of ingest; turns TLS on")] = None
    tls_cert_file: Annotated[Path | None, Meta(description="Own certificate, for mTLS")] = None
    tls_key_file: Annotated[Path | None, Meta(description="Private key of the certificate")] = None
    spool_directory: Annotated[
        Path, Meta(description="Keeps what ingest has not acknowledged; of this agent alone")
    ] = Path("~/.sensus-agent")
    spool_bytes: Annotated[
        int, Meta(ge=1 << 20, description="Bound of the spool; full, the oldest goes")
    ] = 256 << 20
    webhook_url: Annotated[
        str, Meta(description="Posts JSON there instead of streaming to ingest", extra=SECRET)
    ] = ""
    procfs: Annotated[
        Path, Meta(description="The /proc of the machine, where that is mounted elsewhere")
    ] = Path("/proc")
    listen_host: Annotated[str, Meta(description="Address of /metrics and health")] = "127.0.0.1"
    metrics_port: Annotated[Port, Meta(description="Their port; 0 serves none")] = (
        ports.METRICS_AGENT
    )
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], Meta(description="Least level that is logged")
    ] = "INFO"
    log_format: Annotated[
        Literal["json", "console"], Meta(description="json for machines, console for people")
    ] = "json"

    def series_labels(self) -> dict[str, str]:
        """The labels of every series.

        Raises:
            ConfigError: One of `labels` is not name=value, or they cannot be sent.
        """
        named = {"job": "node", "instance": self.host or socket.gethostname()}
        for label in self.labels:
            found = _LABEL.fullmatch(label)
            if found is None or found[1] == "__name__":
                raise ConfigError(f"SENSUS_AGENT_LABELS: {label!r} is not name=value")
            named[found[1]] = found[2]
        try:
            check_labels(tuple(named.items()))
        except ValueError as error:
            raise ConfigError(f"SENSUS_AGENT_HOST and SENSUS_AGENT_LABELS: {error}") from None
        return named


class Settings:
    """The configuration that is in use, and whether its file has changed."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        """Reads `environ`, the process environment by default, and the file that it names.

        Raises:
            ConfigError: A value is not usable; the message names it.
        """
        self._environ = child_environment({}) if environ is None else dict(environ)
        self._file = load(Config, self._environ, prefix=PREFIX).config_file
        self._stamp = self._stamp_now()
        self.config = self._load()

    def changed(self) -> bool:
        """Whether the file is another one than at the last reading."""
        return self._stamp_now() != self._stamp

    def read(self) -> Config:
        """What the file says now, where the environment does not; `config` stays as it is.

        Raises:
            ConfigError: It is not usable.
        """
        self._stamp = self._stamp_now()
        return self._load()

    def _load(self) -> Config:
        config = load(Config, {**self._from_file(), **self._environ}, prefix=PREFIX)
        config.series_labels()
        return config

    def _from_file(self) -> dict[str, str]:
        """The file as variables, but for those that the environment has under either name."""
        if self._file is None:
            return {}
        try:
            values = tomllib.loads(self._file.read_text())
        except OSError as error:
            message = f"SENSUS_AGENT_CONFIG_FILE: {self._file}: {error.strerror}"
            raise ConfigError(message) from error
        except ValueError as error:
            raise ConfigError(f"{self._file} is not TOML: {error}") from error
        known = {field.name for field in fields(Config)} - {"config_file"}
        for name in values.keys() - known:
            raise ConfigError(f"{self._file}: {name} is no setting; there are {sorted(known)}")
        names = {name: f"SENSUS_{name.upper()}" for name in values}
        return {
            variable: _text(values[name])
            for name, variable in names.items()
            if not self._environ.get(variable, "").strip()
        }

    def _stamp_now(self) -> tuple[int, ...] | None:
        try:
            return state_of(self._file) if self._file else None
        except OSError:
            return None


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
