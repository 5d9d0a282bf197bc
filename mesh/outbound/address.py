"""Which addresses a server outside may have, and connections to nothing else.

A name is resolved once per call, every address behind it is checked, and the connection goes to an
address that was checked: a name that changes its answer in between gains nothing.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Final

import httpx

from mesh.outbound.ranges import Address, carried, is_never_a_server, is_public

Resolve = Callable[[str, int], Awaitable[list[str]]]

_ADDRESSES_TRIED: Final = 3


class AddressRefused(httpx.TransportError):
    """Nothing was sent: the name is not known, or an address of it is not allowed.

    The message says which, in words that hold nothing foreign.
    """

    def __init__(self, message: str, *, is_lasting: bool) -> None:
        """`is_lasting` is whether asking again later is useless."""
        super().__init__(message)
        self.is_lasting = is_lasting


def refusal(address: Address, *, private_allowed: bool) -> str:
    """Why nothing may be sent there; "" when it may.

    >>> refusal(ip_address("169.254.169.254"), private_allowed=True)
    'its address is never allowed'
    >>> refusal(ip_address("::ffff:10.0.0.1"), private_allowed=False)
    'its address is private and not allowed'
    >>> refusal(ip_address("10.0.0.1"), private_allowed=True)
    ''
    """
    every = [address, *carried(address)]
    if any(is_never_a_server(each) for each in every):
        return "its address is never allowed"
    if not private_allowed and not all(is_public(each) for each in every):
        return "its address is private and not allowed"
    return ""


class GuardedTransport(httpx.AsyncBaseTransport):
    """Connects to checked addresses only; the name stays in the Host header and in TLS."""

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        *,
        private_hosts: frozenset[str],
        within_s: float,
        resolve: Resolve | None = None,
    ) -> None:
        """Hosts in `private_hosts` may have a private address; names take up to `within_s`."""
        self._inner = inner
        self._private_hosts = private_hosts
        self._within_s = within_s
        self._resolve = resolve

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Tries the addresses in turn until one can be connected to."""
        problem: httpx.TransportError = httpx.ConnectError("no address")
        for address in await self._checked(request.url):
            try:
                return await self._inner.handle_async_request(_pinned(request, address))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                problem = error
        raise problem

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._inner.aclose()

    async def _checked(self, url: httpx.URL) -> list[str]:
        return await checked(
            url.host,
            url.port or (443 if url.scheme == "https" else 80),
            private_hosts=self._private_hosts,
            within_s=self._within_s,
            resolve=self._resolve,
        )


async def checked(
    host: str,
    port: int,
    *,
    private_hosts: frozenset[str],
    within_s: float,
    resolve: Resolve | None = None,
) -> list[str]:
    """The first addresses behind a name, when all behind it are allowed.

    Raises:
        AddressRefused: The name is not known, or one of its addresses is not allowed.
    """
    try:
        async with asyncio.timeout(within_s):
            found = await (resolve or _resolved)(host, port)
    except (OSError, TimeoutError, UnicodeError):
        raise AddressRefused("its name is not known", is_lasting=False) from None
    allowed = host.lower() in private_hosts
    for each in found:
        if why := refusal(ip_address(each), private_allowed=allowed):
            raise AddressRefused(why, is_lasting=True)
    return found[:_ADDRESSES_TRIED]


async def _resolved(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(where[0]).partition("%")[0] for *_, where in found))


def _pinned(request: httpx.Request, address: str) -> httpx.Request:
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.host},
    )
