"""A process for the tests of serving: one service, two workers, everything printed."""

import asyncio
import logging
import sys
import time
from types import SimpleNamespace
from typing import Any

import grpc

from mesh.config import CommonConfig, load
from mesh.health import Health
from mesh.interceptors import Layers
from mesh.serving import Drain, Server, main, run
from tests.hurts import HURTS

ECHO = "sensus.test.v1.EchoService"


def say(text: str) -> None:
    """Prints at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def forever() -> None:
    """A worker that works until it is cancelled, and hurts the process while it serves."""
    if "--thread" in sys.argv:
        asyncio.get_running_loop().run_in_executor(None, time.sleep, 3600)
    for name in (a.removeprefix("--hurt=") for a in sys.argv if a.startswith("--hurt=")):
        asyncio.get_running_loop().call_later(1.0, HURTS[name])
    try:
        await asyncio.Event().wait()
    finally:
        say("worker closed")


async def fragile() -> None:
    """A worker that ends as the command line says."""
    if "--worker=raise" in sys.argv:
        await asyncio.sleep(0.2)
        raise ValueError("broken")
    if "--worker=return" in sys.argv:
        await asyncio.sleep(0.2)
        return
    await asyncio.Event().wait()


async def slow(request: bytes, context: Any) -> bytes:
    """A call that takes a moment, or for ever."""
    say("call entered")
    await asyncio.sleep(60 if "--hang" in sys.argv else 0.6)
    say("call finished")
    return b"finished"


class Announced(Server):
    """Prints the port."""

    async def start(self) -> int:
        """Starts the server."""
        port = await super().start()
        say(f"port {port}")
        return port


async def serve() -> None:
    """Runs until it is stopped."""
    log = logging.StreamHandler(sys.stderr)
    log.setFormatter(logging.Formatter("%(message)s %(cause)s", defaults={"cause": ""}))
    logging.basicConfig(level="INFO", handlers=[log])
    server = Announced(
        service="echo",
        host="127.0.0.1",
        port=0,
        interceptors=Layers([]),
        health=Health([ECHO]),
        drain=Drain(),
    )
    handlers: dict[str, Any] = {"Slow": grpc.unary_unary_rpc_method_handler(slow)}
    server.grpc.add_registered_method_handlers(ECHO, handlers)
    config = SimpleNamespace(watchdog_s=2.0, shutdown_notice_s=0.0, shutdown_grace_s=30.0)
    try:
        await run(server, workers={"forever": forever, "fragile": fragile}, config=config)
    finally:
        say("all closed")


async def misconfigured() -> None:
    """Reads an empty environment."""
    load(CommonConfig, {})


main({"serve": serve, "misconfigured": misconfigured}[sys.argv[1]])
