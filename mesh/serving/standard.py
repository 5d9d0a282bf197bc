"""The server of a service that has one contract and asks the gateway whose tokens hold."""

from pathlib import Path
from typing import Protocol

from google.protobuf.descriptor import FileDescriptor

from mesh.auth import Standings, TokenVerifier, policies
from mesh.drain import Drain
from mesh.health import Health
from mesh.interceptors import server_interceptors
from mesh.serving.server import Server
from mesh.tls import TlsConfig


class ServerConfig(TlsConfig, Protocol):
    """The part of a config that says where a service listens and which keys it trusts."""

    @property
    def listen_host(self) -> str:
        """Address to listen on."""

    @property
    def grpc_port(self) -> int:
        """Port to listen on; 0 takes a free one."""

    @property
    def auth_jwks_file(self) -> Path:
        """Keys whose tokens are good."""


def standard_server(
    config: ServerConfig,
    service: str,
    contract: FileDescriptor,
    *,
    standings: Standings | None,
    health: Health,
    drain: Drain,
) -> Server:
    """A server that lets in whom the policies of `contract` let in.

    Args:
        config: Where it listens, and with which certificate.
        service: The service's short name.
        contract: The file that describes its methods.
        standings: Whose tokens still hold; None where nobody is asked.
        health: What it says of itself.
        drain: Begins when it shall stop.
    """
    return Server(
        service=service,
        host=config.listen_host,
        port=config.grpc_port,
        interceptors=server_interceptors(
            verifier=TokenVerifier.from_file(config.auth_jwks_file),
            policies=policies([contract]),
            standings=standings,
        ),
        health=health,
        drain=drain,
        tls=config,
    )
