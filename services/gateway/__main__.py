"""Runs the gateway: `python -m services.gateway`."""

import asyncio
import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass

from mesh import telemetry
from mesh.config import describe, load
from mesh.serving import main, run
from mesh.serving.own_call import OwnCall
from mesh.serving.process import Serving
from services.gateway.config import Config
from services.gateway.http.server import HttpServer
from services.gateway.wiring import open_gateway

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Servers:
    """HTTP for everybody and gRPC for the other services, as one server."""

    http: Serving
    grpc: Serving

    async def start(self) -> int:
        """The other services may come first: people are turned away without them."""
        await self.grpc.start()
        return await self.http.start()

    async def died(self) -> None:
        """Raises `ServerDied` when one of them ends without `stop`."""
        await asyncio.gather(self.http.died(), self.grpc.died())

    def own_call(self) -> OwnCall:
        """The watchdog calls the door that people use."""
        return self.http.own_call()

    async def stop(self, notice_s: float, grace_s: float) -> None:
        """Both drain at the same time."""
        await asyncio.gather(self.http.stop(notice_s, grace_s), self.grpc.stop(notice_s, grace_s))


async def serve() -> None:
    """Serves until asked to stop."""
    config = load(Config, prefix="GATEWAY")
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(telemetry.setup("gateway", config))
        logger.info("starting", extra={"config": describe(config)})
        gateway = await stack.enter_async_context(open_gateway(config))
        http = HttpServer(
            gateway.app,
            host=config.listen_host,
            port=config.http_port,
            second_port=config.otlp_http_port,
            admission=gateway.admission,
            drain=gateway.drain,
            leave=gateway.dependencies.leave,
        )
        await run(_Servers(http, gateway.identity), workers=gateway.workers, config=config)


if __name__ == "__main__":
    main(serve)
