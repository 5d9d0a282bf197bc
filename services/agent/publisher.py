"""Readings streamed to ingest, kept on disk until each has its ack."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from mesh.config import ConfigError
from sensus_client import (
    Ack,
    Batch,
    Channel,
    RefusedError,
    Sample,
    SampleSender,
    Spool,
    Tls,
    connect,
)
from services.agent.config import Config
from services.agent.machine import Reading
from services.agent.metrics import STREAM

_REFUSED_WAIT_S = 30.0

logger = logging.getLogger(__name__)


class StreamPublisher:
    """Puts readings into the spool, from where they are sent."""

    def __init__(self, config: Config, spool: Spool, channel: Channel) -> None:
        """Sends with the first reading: until then another one may use the spool."""
        self._config = config
        self._spool = spool
        self._channel = channel
        self._labels = config.series_labels()
        self._sending: asyncio.Task[None] | None = None

    async def publish(self, reading: Reading) -> None:
        """Returns when the reading is on disk; raises what has ended the sending."""
        if self._sending is None:
            self._sending = self._send()
        if self._sending.done():
            self._sending.result()
        samples = [
            Sample.of(
                {**self._labels, **dict(each.labels), "__name__": each.name},
                each.value,
                timestamp_ms=moment.timestamp_ms,
            )
            for moment in (*reading.earlier, reading)
            for each in moment.values
        ]
        await self._spool.put(Batch.of(samples))

    async def close(self) -> None:
        """Ends the sending; what is left stays in the spool."""
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)

    def _send(self) -> "asyncio.Task[None]":
        self._spool.limit(self._config.spool_bytes)
        sender = SampleSender(self._channel, self._spool, acked=Refusals().hear)
        STREAM.follow(sender.sent, self._spool.counts)
        return asyncio.create_task(_send(sender), name="sender")


class Spools:
    """The open spools by directory, each as long as a publisher uses it.

    No directory can be opened twice: a publisher takes over the spool of the one that it follows.
    """

    def __init__(self) -> None:
        self._spool_by_directory: dict[Path, Spool] = {}
        self._users: Counter[Path] = Counter()

    @asynccontextmanager
    async def using(self, config: Config) -> AsyncIterator[Spool]:
        """The spool of these settings.

        Raises:
            ConfigError: Its path is none.
            SpoolError: The directory cannot be used.
        """
        try:
            directory = config.spool_directory.expanduser().resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise ConfigError(f"SENSUS_AGENT_SPOOL_DIRECTORY: {error}") from error
        if directory not in self._spool_by_directory:
            self._spool_by_directory[directory] = await Spool.open(
                directory, name="agent", limit_bytes=config.spool_bytes
            )
        self._users[directory] += 1
        try:
            yield self._spool_by_directory[directory]
        finally:
            self._users[directory] -= 1
            if not self._users[directory]:
                await self._spool_by_directory.pop(directory).close()


@asynccontextmanager
async def open_publisher(config: Config, spools: Spools) -> AsyncIterator[StreamPublisher]:
    """A publisher whose sender works in the background; what is left at the end stays on disk.

    Raises:
        ConfigError: The files for TLS cannot be used.
        SpoolError: The directory of the spool cannot be used.
    """
    tls, token = _tls(config), _token(config.token_file)
    async with (
        spools.using(config) as spool,
        connect(config.ingest_target, token=token, tls=tls) as channel,
    ):
        publisher = StreamPublisher(config, spool, channel)
        try:
            yield publisher
        finally:
            await publisher.close()


class Refusals:
    """Logs why ingest refuses samples: when it begins, and when the reason changes."""

    def __init__(self) -> None:
        self._reported = ""

    def hear(self, ack: Ack) -> None:
        """Of an ack that refuses nothing nothing is said."""
        first = ack.rejections[0] if ack.rejections else None
        reason = first.reason if first else ""
        if first and reason != self._reported:
            extra = {"samples": ack.rejected, "reason": reason, "cause": first.message}
            logger.warning("ingest refuses samples", extra=extra)
        self._reported = reason


async def _send(sender: SampleSender) -> None:
    """Sends for ever: a token may be mended, and until then nothing is lost."""
    while True:
        try:
            await sender.run()
        except RefusedError as error:
            logger.error("ingest refuses, trying again", extra={"cause": str(error)})
        await asyncio.sleep(_REFUSED_WAIT_S)


def _token(path: Path | None) -> Callable[[], str] | None:
    """Read anew for each stream, so that a token can be renewed in place."""
    return None if path is None else lambda: path.read_text().strip()


def _tls(config: Config) -> Tls | None:
    files = (config.tls_ca_file, config.tls_cert_file, config.tls_key_file)
    if not any(files):
        return None
    tls = Tls(ca_file=files[0], cert_file=files[1], key_file=files[2])
    try:
        tls.credentials()
    except (OSError, ValueError) as error:
        raise ConfigError(f"SENSUS_AGENT_TLS_*_FILE: {error}") from error
    return tls
