"""Every metric of the agent: name, unit, meaning, what to do when it moves."""

from collections.abc import Iterator
from typing import Final

from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sensus_client import Counts, Sent

READING_DURATION: Final = Histogram(
    "sensus_agent_reading_duration_seconds",
    "Time of one reading of the machine. Above a tenth of the interval: read fewer processes "
    "(SENSUS_AGENT_TOP_PROCESSES=0), or look for a file system that hangs.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
)
READING_FAILED: Final = Counter(
    "sensus_agent_readings_failed_total",
    "Readings that the machine did not give. Must stay 0: the log says what failed.",
)
SERIES: Final = Gauge(
    "sensus_agent_series", "Series of the last reading. Bounded; what grows are disks and networks."
)
POSTS: Final = Counter(
    "sensus_agent_webhook_posts_total",
    "Posts to the webhook, by outcome. `failed` rising: look at its server.",
    ["outcome"],
)
RELOADS: Final = Counter(
    "sensus_agent_config_reloads_total",
    "Changes of the configuration file, by outcome. `refused`: the log names the setting.",
    ["outcome"],
)


class StreamCollector(Collector):
    """What the stream and its spool count."""

    def __init__(self) -> None:
        """All zero until it follows something."""
        self._sent, self._counts = Sent(), Counts()

    def follow(self, sent: Sent, counts: Counts) -> None:
        """Tells of these from now on."""
        self._sent, self._counts = sent, counts

    def collect(self) -> Iterator[Metric]:
        """The metrics of now."""
        sent, counts = self._sent, self._counts
        yield GaugeMetricFamily(
            "sensus_agent_connected",
            "1 while a stream to ingest is open. At 0 readings wait in the spool: nothing is lost.",
            value=float(sent.connected),
        )
        yield GaugeMetricFamily(
            "sensus_agent_spool_bytes",
            "Size of the spool. Rising: ingest is away; at its bound the oldest readings go.",
            value=counts.bytes,
        )
        yield GaugeMetricFamily(
            "sensus_agent_pending_samples",
            "Samples without an ack. More than a few readings: ingest is away or refuses.",
            value=counts.pending_samples,
        )
        for name, meaning, value in (
            (
                "acknowledged_samples",
                "Samples that ingest has made durable. Flat: look whether it is connected.",
                sent.accepted,
            ),
            ("rejected_samples", "Samples that ingest has refused. Must stay 0.", sent.rejected),
            ("streams", "Streams opened. Rising fast: ingest or the network breaks.", sent.streams),
            (
                "dropped_samples",
                "Samples lost to a full spool. Must stay 0: ingest was away for too long.",
                counts.dropped_samples,
            ),
            (
                "spool_cut_bytes",
                "Damaged bytes dropped at the start. Expected after a crash alone: see the disk.",
                counts.cut_bytes,
            ),
            (
                "spool_lost_producers",
                "Spools found without their producer file: readings that were sent without an ack "
                "may count twice. Above 0: something else deletes or damages files there.",
                counts.lost_producers,
            ),
            (
                "spool_failed_writes",
                "Readings that the disk did not take; they wait in memory. Rising: it is full.",
                counts.failed_writes,
            ),
        ):
            yield CounterMetricFamily(f"sensus_agent_{name}", meaning, value=value)


STREAM: Final = StreamCollector()
REGISTRY.register(STREAM)
