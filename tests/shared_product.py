"""The one product that all tests in `PRODUCT` of `tests/scheduling.py` drive, one after another."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.e2e.otlp_receiver import Receiver, receiving
from tests.explainer.peers import OllamaServer
from tests.product import UNLIMITED, Door, started
from tests.scheduling import NEXT_ITEM, claim, drives_the_product

ANSWER = '{"claims": [{"type": "crossed", "evidence": "E3"}]}'


class SharedProduct:
    """Starts when it is first asked for; beside it an OTLP receiver and a model."""

    def __init__(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        """Starts nothing yet."""
        self._paths = tmp_path_factory
        self._stack = AsyncExitStack()
        self._door: Door | None = None
        self.receiver = Receiver()

    async def door(self) -> Door:
        """The running product."""
        if self._door is None:
            claim(self._paths.getbasetemp(), "product")
            self.receiver = await self._stack.enter_async_context(receiving())
            # always claims the same
            model = await self._stack.enter_async_context(OllamaServer(answer=ANSWER).serve())
            settings = {
                "OTEL_EXPORTER_OTLP_ENDPOINT": self.receiver.endpoint,
                "OTEL_BSP_SCHEDULE_DELAY": "200",
                "SENSUS_WARMUP_SAMPLES": "2000",
                "SENSUS_WARMUP_S": "0",
                # beside the tests an idle product computes, and these are what they wait for
                "SENSUS_TOPOLOGY_SETTLE_S": "4",
                "SENSUS_TOPOLOGY_CHECKPOINT_INTERVAL_S": "1",
                **UNLIMITED,
                "SENSUS_ALERTS_PER_WEEK": "0",
                "SENSUS_LLM_PROVIDERS": model,
            }
            data_dir: Path = self._paths.mktemp("product") / "data"
            self._door = await self._stack.enter_async_context(started(data_dir, settings=settings))
        return self._door

    async def stop(self) -> None:
        """Stops it, if it runs."""
        self._door = None
        await self._stack.aclose()


@pytest.fixture(scope="module")
async def door(
    request: pytest.FixtureRequest, shared_product: SharedProduct
) -> AsyncIterator[Door]:
    """The running product, stopped after the last test that drives it: an idle one costs, too."""
    yield await shared_product.door()
    following = request.config.stash[NEXT_ITEM]
    if following is None or not drives_the_product(following.nodeid):
        await shared_product.stop()
