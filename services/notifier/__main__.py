"""`python -m services.notifier`: from the environment to a running service."""

import logging

from mesh import config as settings
from mesh import serving, telemetry
from mesh.clock import SystemClock
from services.notifier.config import Config
from services.notifier.wiring import SERVICE, assemble

logger = logging.getLogger(__name__)


async def run() -> None:
    """Serves until asked to stop."""
    config = settings.load(Config, prefix=SERVICE)
    async with telemetry.setup(SERVICE, config):
        logger.info("starting", extra={"config": settings.describe(config)})
        async with assemble(config, SystemClock()) as notifier:
            await serving.run(notifier.server, workers=notifier.workers, config=config)


if __name__ == "__main__":
    serving.main(run)
