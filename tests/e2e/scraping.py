"""What a scraper gets of the product's services."""

import httpx

from observability.services import in_the_mesh
from tests.product import Door


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
