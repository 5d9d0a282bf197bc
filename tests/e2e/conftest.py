"""One started product for all end-to-end tests, beside it an OTLP receiver and a model."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.otlp_receiver import Receiver, receiving
from tests.explainer.peers import OllamaServer
from tests.product import UNLIMITED, Door, started
from tests.scheduling import claim

ANSWER = '{"claims": [{"type": "crossed", "evidence": "E3"}]}'


@pytest.fixture(scope="package")
async def receiver() -> AsyncIterator[Receiver]:
    """What the services export their spans to."""
    async with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="package")
async def model() -> AsyncIterator[str]:
    """The spec of a language model that always claims the same."""
    async with OllamaServer(answer=ANSWER).serve() as provider:
        yield provider


@pytest.fixture(scope="package")
async def door(
    tmp_path_factory: pytest.TempPathFactory, receiver: Receiver, model: str
) -> AsyncIterator[Door]:
    """The running product."""
    data_dir: Path = tmp_path_factory.mktemp("product") / "data"
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "SENSUS_WARMUP_SAMPLES": "2000",
        "SENSUS_WARMUP_S": "0",
        **UNLIMITED,
        "SENSUS_ALERTS_PER_WEEK": "0",
        "SENSUS_LLM_PROVIDERS": model,
    }
    claim(tmp_path_factory.getbasetemp(), "e2e")
    async with started(data_dir, settings=settings) as door:
        yield door
