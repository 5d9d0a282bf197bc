"""A process that cannot serve any more ends, and says why."""

import asyncio
import os
import re
import signal

import pytest

from mesh.serving.watchdog import EXIT_STATUS
from tests.mesh.conftest import method, plain_channel
from tests.mesh.test_serving import child, line

BUSY = "while :; do :; done"


async def ending(process: asyncio.subprocess.Process) -> tuple[int, str]:
    """Exit status and log."""
    status = await asyncio.wait_for(process.wait(), 120)
    assert process.stderr is not None
    return status, (await process.stderr.read()).decode()


async def test_cancelled_accept_loop_ends_the_process_in_order() -> None:
    async with child("serve", "--hurt=cancel_accept_loop") as process:
        status, log = await ending(process)
    assert status == 1
    assert "grpcio's accept loop ended: CancelledError()" in log


@pytest.mark.parametrize("hurt", ["block_event_loop", "spin_event_loop"])
async def test_event_loop_that_hangs_ends_the_process_and_shows_where(hurt: str) -> None:
    async with child("serve", f"--hurt={hurt}") as process:
        status, log = await ending(process)
    assert status == EXIT_STATUS
    assert "the server is dead: the process ends" in log


async def test_closed_listener_ends_the_process() -> None:
    async with child("serve", "--hurt=close_listeners") as process:
        status, log = await ending(process)
    assert status == EXIT_STATUS
    assert "the server is dead: the process ends" in log


async def test_process_without_descriptors_ends_but_not_before_its_time() -> None:
    async with child("serve", "--hurt=exhaust_descriptors") as process:
        assert (await line(process)).startswith("port ")
        status, log = await ending(process)
    assert status == EXIT_STATUS
    dead = re.search(r"the server is dead: the process ends no answer .* for ([0-9.]+) s", log)
    assert dead, log
    assert float(dead[1]) >= 2.0


async def test_stopped_process_that_continues_is_not_restarted() -> None:
    async with child("serve") as process:
        port = (await line(process)).split()[1]
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(5)
        process.send_signal(signal.SIGCONT)
        await asyncio.sleep(2)
        async with plain_channel(f"127.0.0.1:{port}") as channel:
            assert await channel.unary_unary(method("Slow"))(b"") == b"finished"
        assert process.returncode is None


async def test_starved_process_is_not_restarted() -> None:
    async with child("serve") as process:
        port = (await line(process)).split()[1]
        os.sched_setaffinity(process.pid, {0})
        hogs = [
            await asyncio.create_subprocess_exec(
                "taskset", "-c", "0", "sh", "-c", "while :; do :; done"
            )
            for _ in range(6)
        ]
        try:
            await asyncio.sleep(4)  # twice as long as the watchdog waits
            assert process.returncode is None
        finally:
            for hog in hogs:
                hog.kill()
                await hog.wait()
        async with plain_channel(f"127.0.0.1:{port}") as channel:
            assert await channel.unary_unary(method("Slow"))(b"") == b"finished"


async def test_unhandled_error_of_a_callback_is_logged_and_does_not_end_the_process() -> None:
    async with child("serve", "--hurt=raise_in_callback") as process:
        port = (await line(process)).split()[1]
        assert process.stderr is not None
        hurt = asyncio.wait_for(process.stderr.readuntil(b"RuntimeError: planted"), 60)
        assert b"unhandled error" in await hurt
        async with plain_channel(f"127.0.0.1:{port}") as channel:
            assert await channel.unary_unary(method("Slow"))(b"") == b"finished"
        process.send_signal(signal.SIGTERM)
        status, _ = await ending(process)
    assert status == 0
