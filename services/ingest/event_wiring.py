"""The log of events put together: its store, its road, its workers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh.clock import Clock
from mesh.redis import Streams
from mesh.serving import Worker
from services.ingest import roads
from services.ingest.config import Config
from services.ingest.model.event_entry import EventSegment
from services.ingest.publisher import Publisher
from services.ingest.store import log_reader
from services.ingest.store.event_log import EventLog
from services.ingest.store.event_partitions import EventPartitionStore
from services.ingest.store.log_reader import LogReader
from services.ingest.store.newest_heads import NewestHeads
from services.ingest.upkeep.event_clock import EventClock
from services.ingest.upkeep.event_retention import EventRetention
from services.ingest.upkeep.relay import Relay
from services.ingest.write.bodies import BodyWriter
from services.ingest.write.event_committer import EventCommitter
from services.ingest.write.events import EventWrites
from services.ingest.write.sample_rates import SampleRates

if TYPE_CHECKING:
    from mesh.postgres import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class EventParts:
    """What the log of events consists of."""

    heads: NewestHeads
    reader: LogReader[EventSegment]
    committer: EventCommitter
    clock: EventClock
    retention: EventRetention
    workers: Mapping[str, Worker]

    def writes(self, config: Config, bodies: BodyWriter, clock: Clock) -> EventWrites:
        """What takes traces and logs."""
        rates = SampleRates(clock, config.max_caller_events_per_s, "events")
        return EventWrites(
            bodies,
            self.committer,
            rates,
            clock,
            shard_count=config.shard_count,
            takes_examples=config.examples == "masked",
        )


async def event_parts(config: Config, clock: Clock, pool: "Pool", streams: Streams) -> EventParts:
    """Puts the log together, and makes its head at the first start of an installation."""
    log = EventLog(pool, timeout_s=config.commit_timeout_s)
    await log.prepare(config.shard_count)
    publisher = Publisher(
        streams,
        roads.EVENTS,
        maxlen=config.stream_entries,
        stream_bytes=config.event_streams_bytes // config.shard_count,
    )
    heads, reader = NewestHeads(log, clock), LogReader(pool, log_reader.EVENTS)
    committer = EventCommitter(log, publisher, clock)
    relay = Relay(heads, reader, streams, publisher, clock, stream_entries=config.stream_entries)
    ticks = EventClock(log, publisher, clock)
    partitions = EventPartitionStore(pool)
    retention = EventRetention(partitions, clock, retention_s=config.events_retention_s)
    return EventParts(
        heads=heads,
        reader=reader,
        committer=committer,
        clock=ticks,
        retention=retention,
        workers={
            "event_committer": committer.run,
            "event_publisher": publisher.run,
            "event_relay": relay.run,
            "event_clock": ticks.run,
            "event_retention": retention.run,
        },
    )
