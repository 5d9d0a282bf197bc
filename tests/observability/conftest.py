"""One started product for what is scraped of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from observability.services import in_the_mesh
from tests.e2e.otlp_receiver import receiving
from tests.product import UNLIMITED, Door, started


@pytest.fixture(scope="package")
async def door(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    """The running product; nothing has been sent to it when the first test asks."""
    data_dir: Path = tmp_path_factory.mktemp("scraped") / "data"
    async with receiving() as receiver:
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, **UNLIMITED}
        async with started(data_dir, settings=settings) as door:
            yield door


async def scrape(url: str, accept: str = "text/plain") -> str:
    """What `url` tells a scraper that prefers the format `accept`."""
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        answer = await client.get(url, headers={"Accept": accept})
    assert answer.status_code == 200
    return answer.text


def pages(door: Door) -> dict[str, str]:
    """Address of `/metrics` by service."""
    ports = door.product.ports
    own = {
        each.name: f"http://127.0.0.1:{getattr(ports, f'metrics_{each.name}')}/metrics"
        for each in in_the_mesh()
        if "metrics" in each.ports
    }
    return own | {"gateway": f"{door.product.run.gateway_url}/metrics"}
