"""The address of the client behind proxies."""

import ipaddress
from typing import Any

import pytest

from mesh.config import ConfigError, load
from services.gateway.config import Config
from services.gateway.http.address import client_address

PROXIES = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))
ENVIRONMENT = {
    "SENSUS_POSTGRES_DSN": "postgresql://u@h/d",
    "SENSUS_REDIS_URL": "redis://h",
    "SENSUS_AUTH_JWKS_FILE": "jwks.json",
    "SENSUS_AUTH_KEY_FILE": "key.pem",
}


def scope(client: str, *forwarded: str) -> dict[str, Any]:
    """A request from `client` with these X-Forwarded-For lines."""
    headers = [(b"x-forwarded-for", line.encode()) for line in forwarded]
    return {"type": "http", "client": (client, 1), "headers": headers}


@pytest.mark.parametrize(
    ("client", "forwarded", "expected"),
    [
        ("192.0.2.1", (), "192.0.2.1"),
        ("192.0.2.1", ("198.51.100.7",), "192.0.2.1"),
        ("10.0.0.1", ("198.51.100.7",), "198.51.100.7"),
        ("10.0.0.1", ("203.0.113.9, 198.51.100.7",), "198.51.100.7"),
        ("10.0.0.1", ("203.0.113.9, 198.51.100.7, 10.1.1.1",), "198.51.100.7"),
        ("10.0.0.1", ("203.0.113.9", "198.51.100.7"), "198.51.100.7"),
        ("10.0.0.1", ("nonsense",), "10.0.0.1"),
        ("10.0.0.1", ("nonsense, 10.2.2.2",), "10.2.2.2"),
        ("10.0.0.1", ("",), "10.0.0.1"),
        ("fd00::1", ("2001:db8::7",), "2001:db8::7"),
    ],
)
def test_the_nearest_stranger_is_the_client(
    client: str, forwarded: tuple[str, ...], expected: str
) -> None:
    assert client_address(scope(client, *forwarded), PROXIES) == expected


def test_nobody_is_believed_by_default() -> None:
    assert client_address(scope("10.0.0.1", "198.51.100.7"), ()) == "10.0.0.1"
    assert client_address({"type": "http", "client": None, "headers": []}, ()) == ""


def test_config_reads_lists_and_has_no_default_password() -> None:
    config = load(
        Config,
        ENVIRONMENT
        | {"SENSUS_GATEWAY_HTTP_PORT": "0", "SENSUS_TRUSTED_PROXIES": "10.0.0.0/8, fd00::/8"},
        prefix="GATEWAY",
    )
    assert (config.http_port, config.proxy_networks) == (0, PROXIES)
    assert config.bootstrap_admin_password == ""
    assert config.cors_origins == ()


def test_a_proxy_that_is_no_network_is_named() -> None:
    config = load(Config, ENVIRONMENT | {"SENSUS_TRUSTED_PROXIES": "proxy.example"})
    with pytest.raises(ConfigError, match="SENSUS_TRUSTED_PROXIES"):
        _ = config.proxy_networks
