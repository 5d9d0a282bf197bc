"""Connections go to checked addresses only, under the name of the host."""

from typing import Any

import httpx
import pytest

from mesh.outbound import AddressRefused, GuardedTransport


class Scripted:
    """A resolver and a transport that note what they are asked for."""

    def __init__(self, *addresses: str) -> None:
        """Answers with these addresses."""
        self.addresses = list(addresses)
        self.seen: list[tuple[str, str, object]] = []

    async def resolve(self, host: str, port: int) -> list[str]:
        """The addresses, once more each time."""
        return list(self.addresses)

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Notes where it went."""
        sni = request.extensions.get("sni_hostname")
        self.seen.append((request.url.host, request.headers["host"], sni))
        if request.url.host == "203.0.113.1":
            raise httpx.ConnectError("no")
        return httpx.Response(200)

    async def get(self, url: str, **more: Any) -> httpx.Response:
        """One call through the guard."""
        transport = GuardedTransport(
            httpx.MockTransport(self.answer),
            private_hosts=frozenset(more.get("private", ())),
            within_s=60,
            resolve=self.resolve,
        )
        async with httpx.AsyncClient(transport=transport) as http:
            return await http.get(url)


async def test_connection_goes_to_the_address_that_was_checked_under_its_name() -> None:
    scripted = Scripted("93.184.216.34")
    await scripted.get("https://llm.example/v1")
    assert scripted.seen == [("93.184.216.34", "llm.example", "llm.example")]


async def test_name_with_one_private_address_is_refused_whole() -> None:
    scripted = Scripted("93.184.216.34", "10.0.0.7")
    with pytest.raises(AddressRefused, match="its address is private and not allowed"):
        await scripted.get("https://llm.example/v1")
    assert scripted.seen == []
    assert (await scripted.get("https://llm.example/v1", private=["llm.example"])).is_success


async def test_metadata_address_is_refused_even_for_an_allowed_name() -> None:
    scripted = Scripted("169.254.169.254")
    with pytest.raises(AddressRefused, match="its address is never allowed"):
        await scripted.get("http://llm.internal/v1", private=["llm.internal"])


async def test_next_address_is_tried_when_the_first_refuses() -> None:
    scripted = Scripted("93.184.216.34", "93.184.216.35")
    scripted.answer = _first_refuses(scripted)  # type: ignore[method-assign]
    await scripted.get("https://llm.example/v1")
    assert [seen[0] for seen in scripted.seen] == ["93.184.216.34", "93.184.216.35"]


def _first_refuses(scripted: Scripted) -> Any:
    def answer(request: httpx.Request) -> httpx.Response:
        scripted.seen.append((request.url.host, "", None))
        if len(scripted.seen) == 1:
            raise httpx.ConnectError("no")
        return httpx.Response(200)

    return answer
