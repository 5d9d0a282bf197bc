"""The address a request really comes from."""

import ipaddress
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import Scope

from services.gateway.config import Network


def client_address(scope: Scope, trusted: Sequence[Network]) -> str:
    """The nearest address that is no trusted proxy.

    `X-Forwarded-For` is read from the right and only as far as trusted proxies wrote it: what is
    left of the first stranger was written by the stranger.
    """
    nearest = str(scope["client"][0]) if scope.get("client") else ""
    if not trusted:
        return nearest
    hops = [nearest]
    for line in reversed(Headers(scope=scope).getlist("x-forwarded-for")):
        hops += [hop.strip() for hop in reversed(line.split(","))]
    for hop, following in zip(hops, [*hops[1:], ""], strict=True):
        if not is_trusted(hop, trusted) or not _is_address(following):
            return hop
    return nearest


def is_trusted(text: str, trusted: Sequence[Network]) -> bool:
    """Whether a peer's address is that of a proxy we trust."""
    if not trusted or not _is_address(text):
        return False
    address = ipaddress.ip_address(text)
    return any(address in network for network in trusted)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
