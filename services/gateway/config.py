"""What the gateway is told by its environment."""

import ipaddress
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from mesh import ports
from mesh.config import SECRET, CommonConfig, ConfigError, Port, RedisUrl

Limit = Annotated[int, Meta(ge=1)]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(CommonConfig):
    """Read with the prefix GATEWAY: `SENSUS_GATEWAY_HTTP_PORT` wins over `SENSUS_HTTP_PORT`."""

    redis_url: RedisUrl
    grpc_port: Annotated[Port, Meta(description="gRPC port for the other services")] = (
        ports.GATEWAY_GRPC
    )
    http_port: Annotated[Port, Meta(description="HTTP port; 0 takes a free one")] = ports.GATEWAY
    otlp_http_port: Annotated[
        Port, Meta(description="Second HTTP port, by custom 4318 for OTLP; 0 for none")
    ] = 0
    ingest_target: Annotated[str, Meta(description="Address of ingest")] = (
        f"127.0.0.1:{ports.INGEST}"
    )
    detector_target: Annotated[str, Meta(description="Address of the detector")] = (
        f"127.0.0.1:{ports.DETECTOR}"
    )
    explainer_target: Annotated[str, Meta(description="Address of the explainer")] = (
        f"127.0.0.1:{ports.EXPLAINER}"
    )
    incidents_target: Annotated[str, Meta(description="Address of incidents")] = (
        f"127.0.0.1:{ports.INCIDENTS}"
    )
    notifier_target: Annotated[str, Meta(description="Address of the notifier")] = (
        f"127.0.0.1:{ports.NOTIFIER}"
    )
    topology_target: Annotated[str, Meta(description="Address of topology")] = (
        f"127.0.0.1:{ports.TOPOLOGY}"
    )
    bootstrap_admin_password: Annotated[
        str, Meta(description="Makes the user admin when there is no user", extra=SECRET)
    ] = ""
    access_token_ttl_s: Annotated[
        int, Meta(ge=60, le=86_400, description="Life of an access token")
    ] = 1800
    refresh_token_ttl_s: Annotated[
        int, Meta(ge=60, description="Life of a refresh token; each use gives a new one")
    ] = 14 * 86_400
    max_body_bytes: Annotated[
        int, Meta(ge=1024, le=16 * 1024 * 1024, description="Largest request body")
    ] = 8 * 1024 * 1024
    answer_within_s: Annotated[
        float, Meta(gt=0, le=60, description="Longest wait for an answer's first byte, then 503")
    ] = 8.0
    max_connections: Annotated[
        Limit, Meta(description="Open connections; beyond them only probes are answered")
    ] = 4000
    max_connections_per_address: Annotated[
        Limit, Meta(description="Open connections of an address that is no trusted proxy")
    ] = 2000
    cors_origins: Annotated[
        tuple[str, ...], Meta(description="Origins of web pages that may call, comma separated")
    ] = ()
    trusted_proxies: Annotated[
        tuple[str, ...], Meta(description="Networks whose X-Forwarded-For is believed")
    ] = ()
    rate_metrics: Annotated[Limit, Meta(description="Metric posts per minute and caller")] = 100
    rate_alerts: Annotated[Limit, Meta(description="Alert requests per minute and caller")] = 50
    rate_analysis: Annotated[Limit, Meta(description="Analyses per minute and caller")] = 30
    rate_telemetry: Annotated[
        Limit, Meta(description="Remote writes and OTLP exports per minute and caller")
    ] = 6000
    rate_other: Annotated[Limit, Meta(description="Other requests per minute and caller")] = 60
    rate_login: Annotated[
        Limit, Meta(description="Requests per minute and kind of a person who logged in")
    ] = 600
    rate_api_key: Annotated[Limit, Meta(description="Requests per minute of an API key")] = 6000

    @property
    def proxy_networks(self) -> tuple[Network, ...]:
        """`trusted_proxies`, parsed.

        Raises:
            ConfigError: One of them is no network.
        """
        try:
            return tuple(ipaddress.ip_network(text) for text in self.trusted_proxies if text)
        except ValueError as error:
            raise ConfigError(f"SENSUS_TRUSTED_PROXIES: {error}: write 10.0.0.0/8") from None
