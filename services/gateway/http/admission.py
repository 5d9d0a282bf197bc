"""Which connections may stay when more come than there is room for."""

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final, Protocol

from services.gateway.config import Network
from services.gateway.http.address import is_trusted

_RESERVED: Final = 64
"""Connections beyond the limits, which only probes may use."""


class AdmittedConnection(Protocol):
    """A connection, as far as its admission goes."""

    address: str

    def cut(self, reason: str) -> None:
        """Ends it at once."""


@dataclass(slots=True)
class _Address:
    """The connections of one address; `waiting` are those without a request, longest first."""

    count: int = 0
    waiting: "OrderedDict[AdmittedConnection, None]" = field(default_factory=OrderedDict)


class Admission:
    """Limits per address and in all.

    A connection without a request gives way to a new one: the longest waiting of the same address
    at the limit of an address, of the address with most of them at the limit of all. Where all are
    busy, a new connection is admitted for probes only, and pushes out the oldest such connection.
    Trusted proxies bring many people and have no limit of their own.
    """

    def __init__(self, *, most: int, most_per_address: int, proxies: Collection[Network]) -> None:
        """`most` connections, of which one address may hold `most_per_address`."""
        self._most = most
        self._most_per_address = most_per_address
        self._proxies = tuple(proxies)
        self._count = 0
        self._addresses: dict[str, _Address] = {}
        self._reserve: OrderedDict[AdmittedConnection, None] = OrderedDict()

    def admit(self, guest: AdmittedConnection) -> bool:
        """Takes a new connection in, which waits for a request; False when for probes only."""
        if not self._has_room(guest.address):
            self._into_reserve(guest)
            return False
        address = self._addresses.setdefault(guest.address, _Address())
        address.count += 1
        address.waiting[guest] = None
        self._count += 1
        return True

    def busy(self, guest: AdmittedConnection) -> None:
        """Notes that it has a request: it does not give way."""
        if address := self._addresses.get(guest.address):
            address.waiting.pop(guest, None)

    def waiting(self, guest: AdmittedConnection) -> None:
        """Notes that an admitted connection has no request any more."""
        self._addresses[guest.address].waiting[guest] = None

    def leave(self, guest: AdmittedConnection, *, admitted: bool) -> None:
        """Forgets a connection, `admitted` as `admit` said."""
        if not admitted:
            self._reserve.pop(guest, None)
            return
        address = self._addresses[guest.address]
        address.waiting.pop(guest, None)
        address.count -= 1
        self._count -= 1
        if not address.count:
            del self._addresses[guest.address]

    def _has_room(self, name: str) -> bool:
        address = self._addresses.get(name)
        is_full = address is not None and address.count >= self._most_per_address
        if address and is_full and not is_trusted(name, self._proxies):
            return _made_way(address, "address_limit")
        if self._count < self._most:
            return True
        fullest = max(self._addresses.values(), key=lambda each: len(each.waiting), default=None)
        return fullest is not None and _made_way(fullest, "limit")

    def _into_reserve(self, guest: AdmittedConnection) -> None:
        if len(self._reserve) >= _RESERVED:
            oldest = next(iter(self._reserve))
            oldest.cut("reserve")
        self._reserve[guest] = None


def _made_way(address: _Address, reason: str) -> bool:
    oldest = next(iter(address.waiting), None)
    if oldest is None:
        return False
    oldest.cut(reason)
    return True
