"""The agent put together: what is opened, in which order, and anew when the file changes."""

import asyncio
import logging
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from mesh.config import ConfigError, describe
from sensus_client import SpoolError
from services.agent.config import Config, Settings
from services.agent.endpoint import serving
from services.agent.log import configure_logs
from services.agent.machine import Machine, Reading
from services.agent.metrics import READING_DURATION, READING_FAILED, RELOADS, SERIES
from services.agent.publisher import Spools, open_publisher
from services.agent.webhook import WebhookPublisher

_LATE_AFTER_INTERVALS = 3

logger = logging.getLogger(__name__)


class Publisher(Protocol):
    """Where readings go."""

    async def publish(self, reading: Reading) -> None:
        """Returns when the reading is kept, or given up."""


async def run() -> None:
    """Reads and sends until SIGTERM or SIGINT.

    Raises:
        ConfigError: A setting is not usable.
        SpoolError: The directory of the spool is not.
    """
    settings = Settings()
    configure_logs(settings.config.log_level, settings.config.log_format)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    agent = Agent(settings)
    async with AsyncExitStack() as stack:
        config = settings.config
        if config.metrics_port:
            place = serving(config.listen_host, config.metrics_port, agent.trouble)
            port = await stack.enter_async_context(place)
            logger.info("serving", extra={"address": config.listen_host, "port": port})
        reading = asyncio.create_task(agent.run())
        stopping = asyncio.create_task(stopped.wait())
        await asyncio.wait({reading, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in (reading, stopping):
            task.cancel()
        await asyncio.gather(stopping, return_exceptions=True)
        if not await _was_cancelled(reading):
            reading.result()
    logger.info("stopped")


class Agent:
    """Reads the machine at a steady pace and publishes each reading."""

    def __init__(self, settings: Settings) -> None:
        """Follows the file of `settings`."""
        self._settings = settings
        self._spools = Spools()
        self._read_at_s = time.monotonic()

    def trouble(self) -> str:
        """Why it is not well; empty when it is. That ingest is away is no trouble of the agent."""
        late_s = time.monotonic() - self._read_at_s
        if late_s > _LATE_AFTER_INTERVALS * self._settings.config.interval_s:
            return f"no reading for {late_s:.0f} s"
        return ""

    async def run(self) -> None:
        """Works for ever: with other settings from the moment that the file has usable ones.

        Raises:
            ConfigError, SpoolError: Those of the start cannot be used.
        """
        work = await self._open(self._settings.config)
        try:
            while True:
                await self._until_changed(work)
                if fresh := await self._reloaded():
                    old, work = work, fresh
                    await old.opened.aclose()
        finally:
            await work.opened.aclose()

    async def _open(self, config: Config) -> "_Work":
        machine = await asyncio.to_thread(_machine, config)
        opened = AsyncExitStack()
        place = _publisher(config, machine, self._spools)
        publisher = await opened.enter_async_context(place)
        logger.info("starting", extra={"config": describe(config)})
        return _Work(config.interval_s, machine, publisher, opened)

    async def _until_changed(self, work: "_Work") -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time() + min(work.interval_s, 1.0)  # the first ratios need a moment
        while True:
            await asyncio.sleep(due_s - loop.time())
            due_s = max(due_s + work.interval_s, loop.time())
            await self._publish(work.machine, work.publisher)
            if await asyncio.to_thread(self._settings.changed):
                return

    async def _reloaded(self) -> "_Work | None":
        """All of the new settings opened beside the old ones; None when they cannot be used."""
        try:
            config = await asyncio.to_thread(self._settings.read)
            work = await self._open(config)
        except (ConfigError, SpoolError) as error:
            RELOADS.labels("refused").inc()
            logger.error("the settings stay as they were", extra={"cause": str(error)})
            return None
        RELOADS.labels("taken").inc()
        self._settings.config = config
        configure_logs(config.log_level, config.log_format)
        return work

    async def _publish(self, machine: Machine, publisher: Publisher) -> None:
        began_s = time.perf_counter()
        try:
            reading = await asyncio.to_thread(machine.read)
        except Exception:  # whatever a strange machine gives: the next reading may be well
            READING_FAILED.inc()
            logger.exception("the machine cannot be read")
            return
        READING_DURATION.observe(time.perf_counter() - began_s)
        SERIES.set(len(reading.values))
        self._read_at_s = time.monotonic()
        await publisher.publish(reading)
        logger.debug("published", extra={"timestamp_ms": reading.timestamp_ms})


@dataclass(frozen=True, slots=True)
class _Work:
    """What is opened of one configuration."""

    interval_s: float
    machine: Machine
    publisher: Publisher
    opened: AsyncExitStack


@asynccontextmanager
async def _publisher(config: Config, machine: Machine, spools: Spools) -> AsyncIterator[Publisher]:
    if config.webhook_url:
        yield WebhookPublisher(config.webhook_url, machine, config.series_labels())
        return
    async with open_publisher(config, spools) as publisher:
        yield publisher


def _machine(config: Config) -> Machine:
    try:
        return Machine(procfs=config.procfs, top_processes=config.top_processes)
    except Exception as error:  # whatever reading a directory that is no /proc gives
        raise ConfigError(f"SENSUS_AGENT_PROCFS: {config.procfs}: {error}") from error


async def _was_cancelled(task: "asyncio.Task[None]") -> bool:
    await asyncio.gather(task, return_exceptions=True)
    return task.cancelled()
