"""What drills do to a started product reaches the process that they mean."""

import asyncio
from types import SimpleNamespace
from typing import Any

from tests.product import Door


class Child:
    """A process that ends and is started again while it is asked for."""

    name = "ingest"

    def __init__(self, *process_ids: int | None) -> None:
        self._process_ids = [*process_ids]

    @property
    def pid(self) -> int | None:
        return self._process_ids.pop(0)


async def test_a_process_that_is_gone_is_killed_once_it_is_back() -> None:
    gone, back = [await asyncio.create_subprocess_exec("sleep", "600") for _ in range(2)]
    nowhere: Any = None
    product: Any = SimpleNamespace(children=[Child(gone.pid, gone.pid, None, back.pid)])
    door = Door(
        product=product,
        events=[],
        http=nowhere,
        ingest=nowhere,
        detector=nowhere,
        explainer=nowhere,
    )
    await door.kill("ingest")
    assert await gone.wait() == -9
    await door.kill("ingest")
    assert await back.wait() == -9
