"""Redis Streams on a real Redis."""

import asyncio
import socket
import time

import pytest

from mesh import errors
from mesh.redis import START, Entry, Streams, open_redis

KEY = "sensus:test"


def entry(entry_id: str, text: bytes = b"x", maxlen: int = 1000) -> Entry:
    return Entry(key=KEY, entry_id=entry_id, fields={b"data": text}, maxlen=maxlen)


async def test_what_is_appended_is_read_in_order(redis_url: str) -> None:
    async with open_redis(redis_url) as redis:
        streams = Streams(redis)
        binary = bytes(range(256))
        assert await streams.append(KEY, "1-0", {b"data": binary, b"n": b"1"}, 100)
        assert await streams.append(KEY, "2", {b"data": b"two"}, 100)
        first, second = await streams.read({KEY: START}, block_ms=0, count=10)
        assert (first.key, first.entry_id) == (KEY, "1-0")
        assert first.fields == {b"data": binary, b"n": b"1"}
        assert second.entry_id == "2-0"
        assert [r.entry_id for r in await streams.read({KEY: "1-0"}, 0, 10)] == ["2-0"]
        assert await streams.read({KEY: "2-0"}, 0, 10) == []


async def test_entry_that_is_there_already_is_no_error_and_is_reported(redis_url: str) -> None:
    async with open_redis(redis_url) as redis:
        streams = Streams(redis)
        assert await streams.append_many([entry("1"), entry("2")]) == [True, True]
        assert await streams.append_many([entry("1", b"other"), entry("2"), entry("3")]) == [
            False,
            False,
            True,
        ]
        found = await streams.read({KEY: START}, 0, 10)
        assert [(r.entry_id, r.fields[b"data"]) for r in found] == [
            ("1-0", b"x"),
            ("2-0", b"x"),
            ("3-0", b"x"),
        ]


async def test_last_id_survives_trimming(redis_url: str) -> None:
    async with open_redis(redis_url) as redis:
        streams = Streams(redis)
        assert (await streams.first_id(KEY), await streams.last_id(KEY)) == (START, START)
        await streams.append_many([entry(str(n), maxlen=100) for n in range(1, 1001)])
        assert await streams.last_id(KEY) == "1000-0"
        assert int((await streams.first_id(KEY)).split("-")[0]) > 100
        await redis.xtrim(KEY, maxlen=0)
        assert (await streams.first_id(KEY), await streams.last_id(KEY)) == (START, "1000-0")


async def test_read_waits_for_what_comes(redis_url: str) -> None:
    async with open_redis(redis_url) as redis:
        streams = Streams(redis)
        reading = asyncio.create_task(streams.read({KEY: START, "other": START}, 5000, 10))
        await asyncio.sleep(0.1)
        assert not reading.done()
        await streams.append(KEY, "1", {b"data": b"x"}, 10)
        assert [r.entry_id for r in await asyncio.wait_for(reading, 60)] == ["1-0"]


async def test_read_gives_up_after_its_wait(redis_url: str) -> None:
    async with open_redis(redis_url) as redis:
        began_s = time.monotonic()
        assert await Streams(redis).read({KEY: START}, 200, 10) == []
        assert time.monotonic() - began_s >= 0.1


async def test_cancelled_read_leaves_a_usable_client(redis_url: str) -> None:
    async with open_redis(redis_url) as redis:
        streams = Streams(redis)
        reading = asyncio.create_task(streams.read({KEY: START}, 5000, 10))
        await asyncio.sleep(0.1)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert await streams.append(KEY, "1", {b"data": b"x"}, 10)
        assert len(await streams.read({KEY: START}, 0, 10)) == 1


async def test_redis_that_is_down_is_unavailable() -> None:
    async with open_redis("redis://127.0.0.1:1/0") as redis:
        streams = Streams(redis)
        for attempt in (
            streams.append(KEY, "1", {b"data": b"x"}, 10),
            streams.read({KEY: START}, 0, 10),
            streams.last_id(KEY),
            streams.ping(),
        ):
            with pytest.raises(errors.Unavailable) as caught:
                await attempt
            assert caught.value.reason == "STREAM_UNAVAILABLE"
            assert caught.value.retry_after_s == 1.0


async def test_refusal_of_redis_is_unavailable(redis_url: str) -> None:
    """A full or loading Redis answers with an error; the entry has to wait like any other."""
    async with open_redis(redis_url) as redis:
        await redis.set(KEY, "not a stream")
        with pytest.raises(errors.Unavailable):
            await Streams(redis).append(KEY, "1", {b"data": b"x"}, 10)


async def test_redis_that_hangs_is_unavailable_in_time() -> None:
    """A listener that never accepts stands for a Redis that is stopped."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with open_redis(f"redis://127.0.0.1:{silent.getsockname()[1]}/0") as redis:
            with pytest.raises(errors.Unavailable):
                await Streams(redis).append(KEY, "1", {b"data": b"x"}, 10)
