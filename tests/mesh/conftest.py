"""A tiny service behind the real runtime: real server, real channel, real interceptors."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest

from mesh.auth import PUBLIC, Policy, TokenMinter, TokenVerifier, generate_key_files
from mesh.clients import open_channel
from mesh.health import Health
from mesh.interceptors import server_interceptors
from mesh.serving import Drain, Server
from mesh.wire import OWN_CONNECTIONS

ECHO = "sensus.test.v1.EchoService"
READ = Policy(any_of=frozenset({"read:stream"}))

Handler = Callable[[Any, Any], Any]


def method(name: str) -> str:
    """Full method of the echo service."""
    return f"/{ECHO}/{name}"


@dataclass(kw_only=True)
class Echo:
    """The service of a test: handlers by method name, and a place for them to leave notes."""

    unary: dict[str, Handler] = field(default_factory=dict)
    server_stream: dict[str, Handler] = field(default_factory=dict)
    client_stream: dict[str, Handler] = field(default_factory=dict)
    bidi: dict[str, Handler] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    notes: list[Any] = field(default_factory=list)

    def names(self) -> list[str]:
        """All methods."""
        return [*self.unary, *self.server_stream, *self.client_stream, *self.bidi]

    def add_to(self, server: grpc.aio.Server) -> None:
        """Registers the handlers; messages are bytes."""
        handlers: dict[str, Any] = {}
        for table, factory in (
            (self.unary, grpc.unary_unary_rpc_method_handler),
            (self.server_stream, grpc.unary_stream_rpc_method_handler),
            (self.client_stream, grpc.stream_unary_rpc_method_handler),
            (self.bidi, grpc.stream_stream_rpc_method_handler),
        ):
            handlers |= {name: factory(handler) for name, handler in table.items()}
        server.add_registered_method_handlers(ECHO, handlers)


@dataclass(kw_only=True)
class Running:
    """A started echo service."""

    server: Server
    health: Health
    drain: Drain
    port: int

    @property
    def target(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the keys of all services."""
    directory = tmp_path_factory.mktemp("keys")
    generate_key_files(directory, ["ingest", "detector", "explainer", "gateway"])
    return directory


@pytest.fixture(scope="session")
def minter(keys: Path) -> Callable[[str], TokenMinter]:
    """The minter of a service."""
    return lambda issuer: TokenMinter.from_file(keys / f"{issuer}.pem", issuer)


@pytest.fixture(scope="session")
def verifier(keys: Path) -> TokenVerifier:
    """Trusts the keys of `keys`, without leeway."""
    return TokenVerifier.from_file(keys / "jwks.json", leeway_s=0.0)


@asynccontextmanager
async def served(echo: Echo, verifier: TokenVerifier, **options: Any) -> AsyncIterator[Running]:
    """Runs the echo service on a free port; methods without a policy of their own are public."""
    open_to_all = {method(name): PUBLIC for name in echo.names()}
    health = options.pop("health", None) or Health([ECHO], every_s=0.05)
    drain = Drain()
    server = Server(
        service="echo",
        host="127.0.0.1",
        port=options.pop("port", 0),
        interceptors=server_interceptors(
            verifier=verifier,
            policies=options.pop("policies", open_to_all | echo.policies),
            **options,
        ),
        health=health,
        drain=drain,
    )
    echo.add_to(server.grpc)
    port = await server.start()
    try:
        yield Running(server=server, health=health, drain=drain, port=port)
    finally:
        await server.stop(0, 0)


@asynccontextmanager
async def plain_channel(target: str) -> AsyncIterator[Any]:
    """A channel without anything of ours: no interceptors, no retries, no token."""
    async with grpc.aio.insecure_channel(target, OWN_CONNECTIONS) as channel:
        yield channel


@pytest.fixture
async def serve(verifier: TokenVerifier) -> AsyncIterator[Callable[..., Any]]:
    """Starts services, which run until the test ends."""
    async with AsyncExitStack() as stack:

        async def start(echo: Echo, **options: Any) -> Running:
            return await stack.enter_async_context(served(echo, verifier, **options))

        yield start


@pytest.fixture
async def connect(minter: Callable[[str], TokenMinter]) -> AsyncIterator[Callable[..., Any]]:
    """Opens channels of ours, with the detector's token, until the test ends."""
    async with AsyncExitStack() as stack:

        async def start(running: Running, **options: Any) -> grpc.aio.Channel:
            options = {
                "tokens": minter("detector").service_token,
                "default_timeout_s": 120,
            } | options
            opened = open_channel(running.target, service=ECHO, caller="test", **options)
            channel = await stack.enter_async_context(opened)
            await asyncio.wait_for(channel.channel_ready(), timeout=60)
            return channel

        yield start


class Watched:
    """A handler's body that waits for ever and notes how it ended."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.ended = asyncio.Event()
        self.ended_by = ""

    async def wait(self) -> None:
        """Waits until something ends it."""
        self.entered.set()
        try:
            await asyncio.Event().wait()
        except BaseException as error:
            self.ended_by = type(error).__name__
            raise
        finally:
            self.ended.set()


@pytest.fixture
async def watched() -> Watched:
    return Watched()
