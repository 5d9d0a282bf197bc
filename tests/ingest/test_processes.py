"""Several ingest processes on the same stores act as one."""

import asyncio
import time
from pathlib import Path

from prometheus_client import REGISTRY

from sensus.ingest.v1 import ingest_service_pb2 as pb
from tests.ingest.consumers import consuming, samples_open
from tests.ingest.harness import Running, alert, batch_request, config, running

NOW = int(time.time() * 1000)
HOSTS = 6


async def test_a_batch_sent_to_two_processes_counts_once(
    service: Running, redis_url: str, keys: Path
) -> None:
    async with running(config(service.dsn, redis_url, keys), keys) as other:
        for sequence in range(1, 31):
            request = batch_request("p", sequence, [(n, NOW, 1.0) for n in range(HOSTS)])
            answers = await asyncio.gather(
                service.stub.WriteBatch(request), other.stub.WriteBatch(request)
            )
            assert sorted(answer.ack.duplicate for answer in answers) == [False, True]
        heads = await service.ingest.heads.now()
    assert (heads.last_offset, sum(heads.totals)) == (30, 30 * HOSTS)


async def test_writers_of_two_processes_keep_the_order_of_each_series(
    service: Running, redis_url: str, keys: Path
) -> None:
    """Appends of two processes meet in Redis in any order; readers see the order of commits."""

    async def write(to: Running, producer: int) -> None:
        for sequence in range(1, 61):
            rows = [(producer, NOW - 1000 + sequence, float(sequence))]
            await to.stub.WriteBatch(batch_request(f"p{producer}", sequence, rows))

    async with (
        running(config(service.dsn, redis_url, keys), keys) as other,
        consuming(service, samples_open()) as consumer,
    ):
        writing = asyncio.gather(
            *(write((service, other)[n % 2], n) for n in range(HOSTS)),
        )
        await consumer.until_count(60 * HOSTS)
        await writing
    assert not consumer.gaps
    for rows in consumer.rows.values():
        assert [value for _, value in rows] == [float(n) for n in range(1, 61)]


async def test_what_comes_in_is_counted(service: Running) -> None:
    def counted(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(name, labels) or 0.0

    before = counted("sensus_metrics_received_total")
    stored = counted("sensus_alerts_received_total", outcome="stored")
    refused = counted("sensus_samples_refused_total", reason="TOO_OLD")
    commits = counted("sensus_commit_duration_seconds_count")
    timed = counted("sensus_processing_duration_seconds_count", kind="samples")
    await service.stub.WriteBatch(batch_request("p", 1, [(1, NOW, 1.0), (1, -1, 1.0)]))
    await service.stub.WriteAlerts(pb.WriteAlertsRequest(alerts=[alert(start_ms=NOW)]))
    assert counted("sensus_metrics_received_total") == before + 1
    assert counted("sensus_alerts_received_total", outcome="stored") == stored + 1
    assert counted("sensus_samples_refused_total", reason="TOO_OLD") == refused + 1
    assert counted("sensus_commit_duration_seconds_count") == commits + 1
    assert counted("sensus_processing_duration_seconds_count", kind="samples") == timed + 1
