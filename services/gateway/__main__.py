"""Runs the gateway: `python -m services.gateway`."""

import logging
from contextlib import AsyncExitStack
from functools import partial

from mesh import telemetry
from mesh.config import describe, load
from mesh.serving import Worker, main, run
from services.gateway.config import Config
from services.gateway.http.server import HttpServer
from services.gateway.upkeep.housekeeping import purge
from services.gateway.wiring import open_gateway

logger = logging.getLogger(__name__)


async def serve() -> None:
    """Serves until told to stop."""
    config = load(Config, prefix="GATEWAY")
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(telemetry.setup("gateway", config))
        logger.info("starting", extra={"config": describe(config)})
        gateway = await stack.enter_async_context(open_gateway(config))
        server = HttpServer(
            gateway.app,
            host=config.listen_host,
            port=config.http_port,
            max_connections=config.max_connections,
            drain=gateway.drain,
            leave=gateway.surroundings.leave,
        )
        workers: dict[str, Worker] = {
            "health": gateway.surroundings.health.watch,
            "purge": partial(purge, gateway.stores),
        }
        await run(server, workers=workers, config=config)


if __name__ == "__main__":
    main(serve)
