"""A channel to Sensus: kept alive, balanced over all addresses of a name, with or without TLS."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc

Token = Callable[[], str]
"""Gives the bearer token of the next call; asked at each opening of a stream. Must not block."""

KEEPALIVE_MS: Final = 30_000
"""The server takes a ping every ten seconds at most."""

_BALANCED: Final = json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})
_OPTIONS: Final = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.service_config", _BALANCED),
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    ("grpc.max_send_message_length", 16 * 1024 * 1024),
    ("grpc.primary_user_agent", "sensus-client"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Files in PEM form.

    Attributes:
        ca_file: The CA of the server; None trusts what gRPC trusts.
        cert_file: The client's own certificate, for mTLS; None sends none.
        key_file: Its private key; set with `cert_file` or not at all.
    """

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """Reads the files.

        Raises:
            OSError: One cannot be read.
            ValueError: A certificate without its key, or a key without its certificate.
        """
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("TLS: set cert_file and key_file together, or none of them")
        ca, key, cert = (
            path.read_bytes() if path else None
            for path in (self.ca_file, self.key_file, self.cert_file)
        )
        return grpc.ssl_channel_credentials(ca, key, cert)


class Channel:
    """A gRPC channel and the token of its calls."""

    def __init__(self, grpc_channel: grpc.aio.Channel, token: Token | None) -> None:
        """Calls without a token when it is None."""
        self.grpc = grpc_channel
        self._token = token

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What goes along with the next call."""
        return (("authorization", f"Bearer {self._token()}"),) if self._token else ()


@asynccontextmanager
async def connect(
    target: str, *, token: Token | None = None, tls: Tls | None = None
) -> AsyncIterator[Channel]:
    """A channel to ingest, closed at the end. Nothing is called yet.

    Args:
        target: `host:port`, or `dns:///name:port` for all addresses of a name.
        token: Gives the bearer token.
        tls: None for plain text.

    Raises:
        OSError, ValueError: The files of `tls` cannot be used.
    """
    options: list[tuple[str, Any]] = list(_OPTIONS)
    if tls is None:
        channel = grpc.aio.insecure_channel(target, options)
    else:
        channel = grpc.aio.secure_channel(target, tls.credentials(), options)
    async with channel:
        yield Channel(channel, token)
