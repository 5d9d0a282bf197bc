"""The life of a server and of its process."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from mesh import errors
from mesh.health import Health
from mesh.interceptors import Layers
from mesh.serving import BindError, Drain, Server
from tests.mesh.conftest import ECHO, Echo, method, plain_channel

REPOSITORY = Path(__file__).resolve().parents[2]
CHILD = Path(__file__).with_name("child.py")


async def test_draining_streams_finish_and_clean_up_before_stop_returns(
    serve: Any, connect: Any
) -> None:
    echo = Echo()
    drain: list[Drain] = []

    async def watch(request: bytes, context: Any) -> AsyncIterator[bytes]:
        try:
            yield b"opened"
            await drain[0].wait()
            echo.notes.append("drain heard")
            yield b"draining"
        finally:
            await asyncio.sleep(0.2)
            echo.notes.append("cleaned up")

    echo.server_stream["Watch"] = watch
    running = await serve(echo)
    drain.append(running.drain)
    channel = await connect(running)
    call = channel.unary_stream(method("Watch"))(b"")
    assert await call.read() == b"opened"
    stopping = asyncio.create_task(running.server.stop(0, 60))
    assert [response async for response in call] == [b"draining"]
    assert await call.code() is grpc.StatusCode.OK
    await asyncio.wait_for(stopping, 60)
    assert echo.notes == ["drain heard", "cleaned up"]


async def test_running_call_finishes_and_new_ones_are_told_to_go_elsewhere(
    serve: Any, connect: Any
) -> None:
    entered, refused = asyncio.Event(), asyncio.Event()

    async def slow(request: bytes, context: Any) -> bytes:
        entered.set()
        await refused.wait()
        return b"finished"

    running = await serve(Echo(unary={"Slow": slow}))
    async with plain_channel(running.target) as channel:
        first = channel.unary_unary(method("Slow"))(b"")
        await asyncio.wait_for(entered.wait(), 60)
        stopping = asyncio.create_task(running.server.stop(0, 60))
        await running.drain.wait()
        with pytest.raises(errors.Unavailable) as caught, errors.translated():
            await channel.unary_unary(method("Slow"))(b"")
        refused.set()
        assert await first == b"finished"
        await stopping
    assert caught.value.reason == "DRAINING"
    assert caught.value.retry_after_s == 0.1


async def test_call_that_outlasts_the_grace_is_ended_and_its_clean_up_awaited(
    serve: Any, connect: Any, caplog: pytest.LogCaptureFixture
) -> None:
    echo = Echo()
    entered = asyncio.Event()

    async def stubborn(request: bytes, context: Any) -> bytes:
        entered.set()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.3)
            echo.notes.append("cleaned up")
        return b""

    echo.unary["Stubborn"] = stubborn
    running = await serve(echo)
    async with plain_channel(running.target) as channel:
        call = channel.unary_unary(method("Stubborn"))(b"")
        await asyncio.wait_for(entered.wait(), 60)
        await running.server.stop(0, 0.1)
        assert echo.notes == ["cleaned up"]
        with pytest.raises(errors.Unavailable), errors.translated():
            await call
    assert "calls still run after the grace" in caplog.text


async def test_stop_is_idempotent_and_does_not_wait_for_health_watchers(serve: Any) -> None:
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    running = await serve(Echo())
    async with plain_channel(running.target) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=""))
        await watch.read()
        await asyncio.wait_for(running.server.stop(0, 30), 60)
        await running.server.stop(0, 30)
        watch.cancel()


async def test_second_server_on_a_port_is_refused(serve: Any) -> None:
    running = await serve(Echo())
    second = Server(
        service="echo",
        host="127.0.0.1",
        port=running.port,
        interceptors=Layers([]),
        health=Health([ECHO]),
        drain=Drain(),
    )
    with pytest.raises(BindError, match=f"echo cannot listen on 127.0.0.1:{running.port}"):
        await second.start()


@asynccontextmanager
async def child(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A real process that says `ready` and serves; killed at the end if it still lives."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(CHILD),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": f"{REPOSITORY}{os.pathsep}{REPOSITORY / 'gen'}"},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def line(process: asyncio.subprocess.Process) -> str:
    """The next line the child prints."""
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), 60)).decode().strip()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_process_that_is_told_to_stop_exits_with_zero(number: signal.Signals) -> None:
    async with child("serve") as process:
        assert (await line(process)).startswith("port ")
        process.send_signal(number)
        assert await line(process) == "worker closed"
        assert await line(process) == "all closed"
        assert await asyncio.wait_for(process.wait(), 60) == 0


async def test_process_lets_a_running_call_finish_and_only_then_ends_its_workers() -> None:
    async with child("serve") as process:
        port = (await line(process)).split()[1]
        async with plain_channel(f"127.0.0.1:{port}") as channel:
            call = channel.unary_unary(method("Slow"))(b"")
            assert await line(process) == "call entered"
            process.send_signal(signal.SIGTERM)
            assert await call == b"finished"
        assert await line(process) == "call finished"
        assert await line(process) == "worker closed"
        assert await asyncio.wait_for(process.wait(), 60) == 0


async def test_second_signal_ends_the_process_at_once() -> None:
    async with child("serve", "--hang") as process:
        port = (await line(process)).split()[1]
        async with plain_channel(f"127.0.0.1:{port}") as channel:
            call = channel.unary_unary(method("Slow"))(b"")
            assert await line(process) == "call entered"
            process.send_signal(signal.SIGTERM)
            assert process.stderr is not None
            await asyncio.wait_for(process.stderr.readuntil(b"stop signal"), 60)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGTERM
            call.cancel()


@pytest.mark.parametrize("how", ["raise", "return"])
async def test_dying_worker_takes_the_process_down(how: str) -> None:
    async with child("serve", f"--worker={how}") as process:
        assert (await line(process)).startswith("port ")
        assert await line(process) == "worker closed"
        assert await line(process) == "all closed"
        assert await asyncio.wait_for(process.wait(), 60) == 1
        assert process.stderr is not None
        said = (await process.stderr.read()).decode()
        assert "worker fragile died" in said
        assert ("ValueError: broken" in said) == (how == "raise")


@pytest.mark.parametrize(("how", "exit_code"), [("--worker=raise", 1), ("", 0)])
async def test_thread_that_works_for_long_does_not_keep_the_process(
    how: str, exit_code: int
) -> None:
    async with child("serve", "--thread", how) as process:
        assert (await line(process)).startswith("port ")
        if not how:
            process.send_signal(signal.SIGTERM)
        assert await line(process) == "worker closed"
        assert await line(process) == "all closed"
        assert await asyncio.wait_for(process.wait(), 60) == exit_code
        assert process.stderr is not None
        assert "the process ends without it" in (await process.stderr.read()).decode()


async def test_process_that_is_set_up_wrongly_says_so_in_one_line() -> None:
    async with child("misconfigured") as process:
        assert await asyncio.wait_for(process.wait(), 60) == 2
        assert process.stderr is not None
        said = (await process.stderr.read()).decode()
        assert said.startswith("SENSUS_POSTGRES_DSN is not set: ")
        assert said.count("\n") == 1


def test_logging_is_left_alone_by_imports() -> None:
    assert logging.getLogger("mesh").handlers == []
