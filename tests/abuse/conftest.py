"""One started product that every test of this folder abuses."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.abuse.methods import GRPC_SERVICES
from tests.product import UNLIMITED, Door, started
from tests.scheduling import claim


@pytest.fixture(scope="package")
async def door(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    """The running product."""
    data_dir: Path = tmp_path_factory.mktemp("abuse") / "data"
    claim(tmp_path_factory.getbasetemp(), "abuse")
    async with started(data_dir, settings=UNLIMITED) as door:
        yield door


@pytest.fixture(params=GRPC_SERVICES)
def service(request: pytest.FixtureRequest) -> str:
    """Each gRPC service in turn."""
    return str(request.param)


@pytest.fixture
def port(door: Door, service: str) -> int:
    """Its port."""
    target: str = getattr(door.product.run, f"{service}_target")
    return int(target.rpartition(":")[2])
