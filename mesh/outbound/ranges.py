"""Ranges of addresses: what is public, what is a trap, and what one address carries inside another.

Written out rather than left to `is_global` alone, which calls every IPv6 address global that is not
reserved for something else, and differs between versions of Python.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

Address = IPv4Address | IPv6Address

_UNICAST: Final = IPv6Network("2000::/3")
"""All that is assigned for use on the internet lies in here, but for translated IPv4."""

_NOT_PUBLIC_V4: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network
            "100.64.0.0/10",  # behind carrier NAT
            "192.0.0.0/24",  # protocol assignments
            "192.88.99.0/24",  # relays of 6to4
            "198.18.0.0/15",  # benchmarks
            "240.0.0.0/4",  # reserved, broadcast included
        ),
    )
)
_NOT_PUBLIC_V6: Final = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments, Teredo included
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4
            "3ffe::/16",  # given back
            "3fff::/20",  # documentation
        ),
    )
)
_NAT64: Final = IPv6Network("64:ff9b::/96")
_LOCAL_NAT64: Final = IPv6Network("64:ff9b:1::/48")
_CARRIES_LAST: Final = (_NAT64, _LOCAL_NAT64, IPv6Network("::/96"), IPv6Network("::ffff:0:0:0/96"))
_ISATAP: Final = 0x5EFE

_METADATA: Final = frozenset(
    map(ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254"))
)
"""Where clouds answer their machines about themselves, beside the link-local address."""


def is_public(address: Address) -> bool:
    """Whether it is an address of the internet, by itself and not by what it carries."""
    if isinstance(address, IPv4Address):
        return address.is_global and not any(address in each for each in _NOT_PUBLIC_V4)
    if address in _NAT64:
        return True
    return (
        address in _UNICAST
        and address.is_global
        and not any(address in each for each in _NOT_PUBLIC_V6)
    )


def is_never_a_server(address: Address) -> bool:
    """Whether nobody may be asked there, whatever is allowed by name."""
    return (
        address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or address in _METADATA
        or getattr(address, "scope_id", None) is not None
    )


def carried(address: Address) -> Iterator[IPv4Address]:
    """IPv4 addresses inside an IPv6 address, which a translator or tunnel on the way may use.

    >>> [str(each) for each in carried(ip_address("64:ff9b::a00:1"))]
    ['10.0.0.1']
    """
    if isinstance(address, IPv4Address):
        return
    inside = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    last = IPv4Address(int(address) & 0xFFFFFFFF)
    is_isatap = (int(address) >> 32) & 0xFCFFFFFF == _ISATAP
    if is_isatap or any(address in each for each in _CARRIES_LAST):
        inside.append(last)
    yield from (each for each in inside if each is not None)
    if address in _LOCAL_NAT64:
        yield from _spread(address)


def _spread(address: IPv6Address) -> Iterator[IPv4Address]:
    """What it carries under the shorter prefixes of RFC 6052, where octet 8 is left out."""
    octets = address.packed[:8] + address.packed[9:]
    for start in (6, 7, 8):
        found = IPv4Address(octets[start : start + 4])
        if found.is_link_local or found in _METADATA:
            yield found
