"""What a body holds of the budget while it is read."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mesh.budget import ByteBudget
from services.ingest.write.bodies import BodyWriter
from services.ingest.write.compiled_loops import CompiledLoops
from tests.ingest.harness import until


async def test_a_body_keeps_its_room_until_its_read_has_ended() -> None:
    """A read cannot be stopped: whoever goes away meanwhile has not freed its memory."""
    unused: Any = None
    budget, may_end, began = ByteBudget(), threading.Event(), threading.Event()

    def read(body: bytes) -> int:
        began.set()
        assert may_end.wait(60)
        return len(body)

    with ThreadPoolExecutor(1) as reader:
        bodies = BodyWriter(unused, unused, budget, reader, CompiledLoops([]))

        async def write() -> None:
            async with bodies.room("user:a", "test", b"x" * 100) as room:
                await room.read(read)

        writing = asyncio.create_task(write())
        assert await asyncio.to_thread(began.wait, 60)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        held = budget.held_bytes
        may_end.set()

        async def is_free() -> bool:
            return not budget.held_bytes

        await until(is_free)
    assert held >= 100
