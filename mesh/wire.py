"""What both ends of a gRPC connection must agree on. Client and server read only this module.

A client that pings more often than the server allows is cut off with `too_many_pings`, and a
message larger than the peer takes ends the call: so the two sides stand side by side here.
"""

from typing import Final

AUTHORIZATION: Final = "authorization"
TRACEPARENT: Final = "traceparent"

MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024

_KEEPALIVE_MS: Final = 30_000
_KEEPALIVE_TIMEOUT_MS: Final = 10_000
_MOST_STREAMS: Final = 1024
_HANDSHAKE_MS: Final = 10_000
_LEAST_PING_INTERVAL_MS: Final = 10_000
_CONNECTION_AGE_MS: Final = 20 * 60_000
_CONNECTION_AGE_GRACE_MS: Final = 10 * 60_000

Options = list[tuple[str, int | str]]

OWN_CONNECTIONS: Final[Options] = [("grpc.use_local_subchannel_pool", 1)]
"""Channels of one process share connections by address otherwise, and with them the memory that a
server which had this port before is gone."""


def client_options(service_config: str) -> Options:
    """Channel arguments of a client."""
    return [
        *OWN_CONNECTIONS,
        ("grpc.service_config", service_config),
        ("grpc.enable_retries", 1),
        ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
        ("grpc.http2.max_pings_without_data", 0),
        # a service that starts for longer than others is found within a second
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.min_reconnect_backoff_ms", 200),
        ("grpc.max_reconnect_backoff_ms", 1_000),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ]


def server_options(max_message_bytes: int, max_connections: int) -> Options:
    """Channel arguments of a server.

    A connection is closed after an age, with grace, so that clients resolve the name again and find
    new replicas; SO_REUSEPORT is off, or a second server would take half the calls unnoticed.
    Streams of a connection count until the handler is gone, not until the peer resets them: without
    that bound one connection that opens and resets streams took the calls of all others.
    """
    return [
        ("grpc.so_reuseport", 0),
        ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", _LEAST_PING_INTERVAL_MS),
        ("grpc.max_connection_age_ms", _CONNECTION_AGE_MS),
        ("grpc.max_connection_age_grace_ms", _CONNECTION_AGE_GRACE_MS),
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.http2.bdp_probe", 0),
        ("grpc.max_concurrent_streams", _MOST_STREAMS),
        ("grpc.max_allowed_incoming_connections", max_connections),
        ("grpc.server_handshake_timeout_ms", _HANDSHAKE_MS),
    ]
