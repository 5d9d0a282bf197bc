"""What a body holds of the budget while it is read."""

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from mesh.budget import ByteBudget
from services.ingest.write.bodies import BodyWriter
from services.ingest.write.compiled_loops import CompiledLoops
from tests.ingest.harness import until


class Submitting(ThreadPoolExecutor):
    """Counts what waits for its thread or was done there."""

    submitted = 0

    def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
        self.submitted += 1
        return super().submit(*args, **kwargs)


async def test_others_wait_for_one_body_of_a_caller_however_many_it_sends() -> None:
    unused: Any = None
    may_go, order = threading.Event(), list[str]()

    def read(body: bytes) -> None:
        assert may_go.wait(60)
        order.append(body.decode())

    with Submitting(1) as reader:
        bodies = BodyWriter(unused, unused, ByteBudget(), reader, CompiledLoops([]))

        async def are_all_there() -> bool:
            return reader.submitted >= 3

        async def write(caller: str, body: str) -> None:
            async with bodies.room(caller, "test", body.encode()) as room:
                await room.read(read)

        async with asyncio.TaskGroup() as writing:
            for number in range(5):
                writing.create_task(write("user:bomb", f"bomb {number}"))
            for caller in ("a", "b"):
                writing.create_task(write(f"user:{caller}", caller))
            await until(are_all_there)
            may_go.set()
    assert order[:3] == ["bomb 0", "a", "b"]
    assert order[3:] == [f"bomb {number}" for number in range(1, 5)]


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
