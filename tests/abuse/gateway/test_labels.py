"""What strangers write becomes no label, and a scrape holds up nobody."""

import asyncio
import random
import re
import string

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from services.gateway.routes.health import Exposition
from tests.abuse.gateway.conftest import wire
from tests.gateway.conftest import Running, Start


def invented(length: int = 16) -> str:
    """A word that nobody used before."""
    return "".join(random.choices(string.ascii_uppercase, k=length))


async def test_invented_methods_and_paths_make_no_label(running: Running) -> None:
    port = running.http.base_url.port
    assert port
    await running.http.get("/metrics")
    names = [invented() for _ in range(300)]
    async with wire(port) as odd:
        for name in names:
            for line in (f"{name} /livez", f"GET /{name}", f"{name} /api/v1/alerts/{name}"):
                await odd.send(
                    f"{line} HTTP/1.1\r\nHost: a\r\nX-API-Key: sk_{name}\r\n\r\n".encode()
                )
                status, _, _ = await odd.answer()
                assert status in (404, 405)
    text = (await running.http.get("/metrics")).text
    assert not [name for name in names if name in text]
    methods = set(re.findall(r'\bmethod="([^"]*)"', text))
    assert methods <= {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "_OTHER"}
    assert 'method="_OTHER",route="unmatched",status="405"' in text


@pytest.mark.parametrize("method", ["PROPFIND", "PURGE", "FOO-BAR"])
async def test_a_method_that_nobody_serves_is_405_with_what_is_allowed(
    running: Running, method: str
) -> None:
    response = await running.http.request(method, "/api/v1/alerts")
    assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD, POST")


async def test_a_probe_is_quick_while_metrics_are_written(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight thousand series take a while to write; that while is not the loop's."""
    registry = CollectorRegistry()
    many = Counter("many", "Many.", ["label"], registry=registry)
    for n in range(8_000):
        many.labels(str(n)).inc()
    monkeypatch.setattr("services.gateway.routes.health.REGISTRY", registry)
    async with httpx.AsyncClient(base_url=running.url, timeout=60) as http:
        scrape = asyncio.create_task(http.get("/metrics"))
        answered = 0
        while not scrape.done():
            assert (await running.http.get("/livez")).status_code == 200
            answered += 1
        assert len(scrape.result().content) > 200_000
    assert answered > 3


async def test_scrapes_at_the_same_time_share_the_work() -> None:
    exposition = Exposition()
    texts = [text for text, _ in await asyncio.gather(*(exposition.text("") for _ in range(20)))]
    assert len({id(text) for text in texts}) == 1


async def test_metrics_with_a_port_of_their_own_are_not_shown_to_strangers(start: Start) -> None:
    async with start(metrics_port=1) as running:
        assert (await running.http.get("/metrics")).status_code == 404
        assert (await running.http.get("/livez")).status_code == 200
