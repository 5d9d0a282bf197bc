"""The embedded Redis keeps what it was told for a second, whatever happens to it."""

import os
import signal
from pathlib import Path

import pytest
import redis.asyncio

from cli.embedded.redis import EmbeddedRedis
from cli.problem import Problem


async def ask(url: str, *command: str) -> object:
    async with redis.asyncio.Redis.from_url(url, protocol=3, decode_responses=True) as client:
        return await client.execute_command(*command)


async def test_it_is_configured_to_lose_nothing(tmp_path: Path) -> None:
    async with EmbeddedRedis(tmp_path, max_memory_mib=64) as server:
        assert await ask(server.url, "CONFIG", "GET", "appendonly") == {"appendonly": "yes"}
        assert await ask(server.url, "CONFIG", "GET", "maxmemory-policy") == {
            "maxmemory-policy": "noeviction"
        }
        assert await ask(server.url, "CONFIG", "GET", "maxmemory") == {"maxmemory": "67108864"}
        assert await ask(server.url, "CONFIG", "GET", "port") == {"port": "0"}


async def test_data_outlive_a_clean_stop(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path)
    async with server:
        await ask(server.url, "SET", "kept", "7")
    async with server:
        assert await ask(server.url, "GET", "kept") == "7"


async def test_a_killed_server_starts_again_with_its_data(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path)
    await server.start()
    async with redis.asyncio.Redis.from_url(server.url, protocol=3) as client:
        await client.set("kept", "7")
        assert await client.execute_command("WAITAOF", 1, 0, 0) == [1, 0]  # on the disk
    os.kill(server.pid, signal.SIGKILL)
    assert await server.wait() == -signal.SIGKILL
    await server.stop()
    async with server:
        assert await ask(server.url, "GET", "kept") == "7"


async def test_a_server_left_running_by_a_killed_run_is_stopped_first(tmp_path: Path) -> None:
    """Two servers on one append-only file would ruin it."""
    server = EmbeddedRedis(tmp_path)
    await server.start()
    orphan = server._process
    await ask(server.url, "SET", "kept", "7")
    server._lock.release()  # what the kernel does for a killed holder
    async with EmbeddedRedis(tmp_path) as successor:
        assert await orphan.wait() == 0
        assert await ask(successor.url, "GET", "kept") == "7"


async def test_a_second_server_on_the_same_directory_is_refused(tmp_path: Path) -> None:
    async with EmbeddedRedis(tmp_path):
        with pytest.raises(Problem, match=f"already in use by process {os.getpid()}"):
            await EmbeddedRedis(tmp_path).start()


async def test_a_path_too_long_for_a_socket_works(tmp_path: Path) -> None:
    async with EmbeddedRedis(tmp_path / ("long" * 30) / "with space") as server:
        assert await ask(server.url, "PING") is True


async def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="argument must be a memory value"):
        await EmbeddedRedis(tmp_path, max_memory_mib="much").start()
