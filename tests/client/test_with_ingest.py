"""The client against the real ingest, which goes away and comes back."""

import time
from pathlib import Path

from mesh.auth import TokenMinter, generate_key_files
from sensus_client import Batch, Sample, Spool, connect, open_sender
from tests.ingest.harness import config, query, running
from tests.ports import free_port


async def test_samples_outlive_a_restart_of_ingest_and_of_the_sender(
    migrated_dsn: str, redis_url: str, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    generate_key_files(keys, ["ingest", "gateway"])
    minter = TokenMinter.from_file(keys / "gateway.pem", "gateway")
    start_ms = time.time_ns() // 1_000_000 - 60_000

    def token() -> str:
        return minter.mint("user:sender", ["write:samples"], 3600)

    def samples(number: int) -> list[Sample]:
        return [
            Sample.of({"__name__": "sent", "i": str(i)}, number, timestamp_ms=start_ms + number)
            for i in range(3)
        ]

    settings = config(migrated_dsn, redis_url, keys, grpc_port=free_port())
    async with running(settings, keys) as first:
        target = f"127.0.0.1:{first.port}"
        async with connect(target, token=token) as channel:
            spool = await Spool.open(tmp_path / "spool")
            async with open_sender(channel, outbox=spool) as sender:
                for number in range(5):
                    await sender.send(samples(number))
                await sender.flush()
                assert sender.sent.accepted == 15
    async with connect(target, token=token) as channel:
        left = await Spool.open(tmp_path / "spool")
        for number in range(5, 8):
            await left.put(Batch.of(samples(number)))
        await left.close()  # its process ends before ingest is back
        spool = await Spool.open(tmp_path / "spool")
        assert spool.counts.pending_batches == 3
        async with open_sender(channel, outbox=spool) as sender:
            await sender.send(samples(8))
            async with running(settings, keys) as second:
                await sender.flush()
                assert (sender.sent.accepted, sender.sent.duplicates) == (12, 0)
                stored = await query(second.stub, "sent", start_ms, start_ms + 1000)
    assert len(stored) == 3
    for points in stored.values():
        assert points == [(start_ms + number, float(number)) for number in range(9)]
