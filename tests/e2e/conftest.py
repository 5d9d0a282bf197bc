"""One started product for all end-to-end tests, with a real OTLP receiver beside it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.otlp_receiver import Receiver, receiving
from tests.product import UNLIMITED, Door, started


@pytest.fixture(scope="session")
async def receiver() -> AsyncIterator[Receiver]:
    """What the services export their spans to."""
    async with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="session")
async def door(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> AsyncIterator[Door]:
    """The running product."""
    data_dir: Path = tmp_path_factory.mktemp("product") / "data"
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "SENSUS_WARMUP_SAMPLES": "2000",
        "SENSUS_WARMUP_S": "0",
        **UNLIMITED,
        "SENSUS_ALERTS_PER_WEEK": "0",
    }
    async with started(data_dir, settings=settings) as door:
        yield door
