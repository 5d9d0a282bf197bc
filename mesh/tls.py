"""mTLS between services: on when the certificate files are named, all three of them."""

import logging
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import grpc

from mesh.config import ConfigError
from mesh.files import state_of

logger = logging.getLogger(__name__)


class TlsConfig(Protocol):
    """The part of a config that names the files; `mesh.config.Common` has it."""

    @property
    def tls_cert_file(self) -> Path | None:
        """Own certificate chain, PEM."""

    @property
    def tls_key_file(self) -> Path | None:
        """Its private key, PEM."""

    @property
    def tls_ca_file(self) -> Path | None:
        """The CA that signs all services, PEM."""


class _Files:
    def __init__(self, cert: Path, key: Path, ca: Path) -> None:
        self._paths = (cert, key, ca)
        self._states: list[tuple[int, ...]] = []

    def changed(self) -> bool:
        """Whether a file is another than at the last question."""
        now = [state_of(path) for path in self._paths]
        before, self._states = self._states, now
        return now != before

    def read(self) -> tuple[bytes, bytes, bytes]:
        """Certificate, key and CA."""
        cert, key, ca = (path.read_bytes() for path in self._paths)
        return cert, key, ca


def server_credentials(config: TlsConfig) -> grpc.ServerCredentials | None:
    """Credentials that demand a client certificate and follow renewed files; None without files."""
    files = _files(config)
    if files is None:
        return None
    files.changed()

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        try:
            return _certificates(files) if files.changed() else None
        except OSError:
            logger.exception("the certificates stay as they were")
            return None

    return grpc.dynamic_ssl_server_credentials(
        _certificates(files),
        renewed,  # type: ignore[arg-type]  # None keeps the certificates, which the stubs miss
        require_client_authentication=True,
    )


def channel_credentials(config: TlsConfig) -> grpc.ChannelCredentials | None:
    """Credentials of a client; None without files. A renewed certificate needs a new channel."""
    files = _files(config)
    if files is None:
        return None
    cert, key, ca = files.read()
    return grpc.ssl_channel_credentials(ca, key, cert)


def own_context(config: TlsConfig, alpn: Sequence[str]) -> ssl.SSLContext:
    """A client's context that shows the own certificate and takes any: for a call to oneself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(list(alpn))
    if config.tls_cert_file:
        context.load_cert_chain(config.tls_cert_file, config.tls_key_file)
    return context


def is_on(config: TlsConfig) -> bool:
    """Whether the files are named.

    Raises:
        ConfigError: Some are and some are not: half of it would be plain text without a word.
    """
    named = {
        "SENSUS_TLS_CERT_FILE": config.tls_cert_file,
        "SENSUS_TLS_KEY_FILE": config.tls_key_file,
        "SENSUS_TLS_CA_FILE": config.tls_ca_file,
    }
    missing = [variable for variable, path in named.items() if path is None]
    if missing and len(missing) < len(named):
        present = ", ".join(variable for variable in named if variable not in missing)
        raise ConfigError(
            f"{' and '.join(missing)} not set beside {present}: set all three for mTLS, or none"
        )
    return not missing


def _files(config: TlsConfig) -> _Files | None:
    cert, key, ca = config.tls_cert_file, config.tls_key_file, config.tls_ca_file
    if not (is_on(config) and cert and key and ca):
        return None
    for path in (cert, key, ca):
        _check_readable(path)
    return _Files(cert, key, ca)


def _check_readable(path: Path) -> None:
    try:
        path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error


def _certificates(files: _Files) -> grpc.ServerCertificateConfiguration:
    cert, key, ca = files.read()
    return grpc.ssl_server_certificate_configuration([(key, cert)], root_certificates=ca)
