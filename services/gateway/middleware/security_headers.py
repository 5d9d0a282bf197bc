"""What browsers must not do with our answers."""

from typing import Final

from services.gateway.http.headers import HeaderList
from services.gateway.http.routing import Match

_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"strict-transport-security", b"max-age=31536000"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
PRIVATE: Final = (*_HEADERS, (b"cache-control", b"no-store"))
_NAMES: Final = frozenset(name for name, _ in PRIVATE)


def add(headers: HeaderList, match: Match) -> None:
    """Adds what the endpoint has not set itself; what is not public is not kept by anybody."""
    is_public = match.endpoint is not None and match.endpoint.policy.public
    wanted = _HEADERS if is_public else PRIVATE
    given = _NAMES.intersection([name for name, _ in headers])
    headers += [each for each in wanted if each[0] not in given] if given else wanted
