"""`python -m services.topology`: from the environment to a running service."""

import logging

from mesh import config as settings
from mesh import serving, telemetry
from mesh.clock import SystemClock
from services.topology.config import Config
from services.topology.wiring import SERVICE, assemble

logger = logging.getLogger(__name__)


async def run() -> None:
    """Serves until asked to stop."""
    config = settings.load(Config, prefix=SERVICE)
    async with telemetry.setup(SERVICE, config):
        logger.info("starting", extra={"config": settings.describe(config)})
        async with assemble(config, SystemClock()) as topology:
            await serving.run(topology.server, workers=topology.workers, config=config)


if __name__ == "__main__":
    serving.main(run)
