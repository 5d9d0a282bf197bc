"""What is measured and logged of each call."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from prometheus_client import REGISTRY

from mesh import errors
from mesh.clients import closing
from tests.mesh.conftest import ECHO, Echo, method


def ended(name: str, code: str) -> float:
    """How many calls of a method ended with a code."""
    labels = {"rpc_method": f"{ECHO}/{name}", "rpc_response_status_code": code}
    return REGISTRY.get_sample_value("rpc_server_call_duration_seconds_count", labels) or 0.0


def active(name: str) -> float:
    """How many calls of a method run."""
    labels = {"rpc_method": f"{ECHO}/{name}"}
    return REGISTRY.get_sample_value("sensus_rpc_server_active_calls", labels) or 0.0


async def test_calls_are_counted_by_method_and_code_and_logged_by_blame(
    serve: Any, connect: Any, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes: dict[bytes, Exception | None] = {
        b"OK": None,
        b"NOT_FOUND": errors.NotFound("alert", "a1"),
        b"INTERNAL": RuntimeError("boom"),
    }

    async def handler(request: bytes, context: Any) -> bytes:
        if (error := outcomes[request]) is not None:
            raise error
        return b""

    running = await serve(Echo(unary={"Counted": handler}))
    channel = await connect(running)
    with caplog.at_level("DEBUG", logger="sensus.rpc"):
        for request in outcomes:
            await asyncio.gather(
                channel.unary_unary(method("Counted"))(request), return_exceptions=True
            )
        await running.server.stop(0, 60)  # a call is counted a moment after it was answered
    assert [ended("Counted", code.decode()) for code in outcomes] == [1, 1, 1]
    lines = {r.__dict__["code"]: r.levelno for r in caplog.records if r.name == "sensus.rpc"}
    assert lines == {"OK": logging.DEBUG, "NOT_FOUND": logging.INFO, "INTERNAL": logging.WARNING}


async def test_stream_is_active_until_its_client_leaves_and_counts_as_cancelled(
    serve: Any, connect: Any
) -> None:
    async def handler(request: bytes, context: Any) -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536

    running = await serve(Echo(server_stream={"Flooded": handler}))
    channel = await connect(running)
    async with closing(channel.unary_stream(method("Flooded"))(b"")) as call:
        await call.read()
        assert active("Flooded") == 1
    await running.server.stop(0, 5)
    assert active("Flooded") == 0
    assert ended("Flooded", "CANCELLED") == 1
