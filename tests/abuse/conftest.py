"""The shared product, which every test of this folder abuses."""

import pytest

from tests.abuse.methods import GRPC_SERVICES
from tests.product import Door
from tests.shared_product import door

__all__ = ["door"]


@pytest.fixture(params=GRPC_SERVICES)
def service(request: pytest.FixtureRequest) -> str:
    """Each gRPC service in turn."""
    return str(request.param)


@pytest.fixture
def port(door: Door, service: str) -> int:
    """Its port."""
    target: str = getattr(door.product.run, f"{service}_target")
    return int(target.rpartition(":")[2])
