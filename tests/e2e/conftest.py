"""The product that all end-to-end tests share, and the spans that its services export."""

import pytest

from tests.e2e.otlp_receiver import Receiver
from tests.product import Door
from tests.shared_product import SharedProduct, door

__all__ = ["door"]


@pytest.fixture
def receiver(door: Door, shared_product: SharedProduct) -> Receiver:
    """What the services export their spans to."""
    return shared_product.receiver
