"""A disk that is full, again and again, under the whole product: lost 0, doubled 0.

PostgreSQL, Redis, the logs and the agent's spool lie on it, as on a machine with one disk.
"""

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from tests.faults.senders import (
    SERIES,
    all_go_on,
    batches,
    holds_once,
    otlp,
    remote_write,
    scored,
    sending,
)
from tests.faults.test_kill_each_process import (
    alert_until,
    all_explained,
    all_in_incidents,
    stored_alerts,
)
from tests.product import UNLIMITED, Door, eventually, started
from tests.small_disk import SmallDisk, small_disk

ROUNDS = int(os.environ.get("SENSUS_DRILL_ROUNDS", "5"))
MEGABYTES = 768

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300 + 120 * ROUNDS)]


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncIterator[SmallDisk]:
    """Where all lies that the product keeps."""
    with small_disk(tmp_path, MEGABYTES) as disk:
        yield disk


@pytest.fixture
async def door(disk: SmallDisk) -> AsyncIterator[Door]:
    """A product of its own: all that it scores is what is sent here."""
    async with started(disk.path / "data", settings=UNLIMITED) as door:
        yield door


async def test_full_disk_loses_and_doubles_nothing(door: Door, disk: SmallDisk) -> None:
    seed = time.time_ns()
    chance = random.Random(seed)
    prefix, stop = f"disk_{seed}", asyncio.Event()

    def metadata() -> list[tuple[str, str]]:
        return [("authorization", door.http.headers["Authorization"])]

    async with grpc.aio.insecure_channel(door.product.run.ingest_target) as channel:
        senders = [batches(channel, metadata), otlp(channel, metadata), remote_write(door)]
        posting = asyncio.create_task(alert_until(stop, door, prefix, []))
        async with sending(senders):
            for number in range(ROUNDS):
                await asyncio.sleep(chance.uniform(0.5, 2))
                disk.fill()
                await asyncio.sleep(chance.uniform(1, 5))
                disk.free()
                answered = [sender.answered for sender in senders]
                await eventually(
                    lambda before=answered: all_go_on(senders, before),  # type: ignore[misc]
                    within_s=120,
                    what=f"answers after the disk of round {number} of seed {seed} had room",
                )
        stop.set()
        posted = await posting
    assert sum(sender.again for sender in senders) > 0, "the disk was never full"
    for sender in senders:
        await holds_once(door, sender)
    sent = SERIES * sum(sender.answered for sender in senders)
    await eventually(lambda: scored(door, sent), within_s=180, what="the score of each sample")
    kept = await stored_alerts(door, prefix)
    assert Counter(name for name, _ in kept) == Counter(posted)
    ids = {alert_id for _, alert_id in kept}
    await eventually(
        lambda: all_explained(door, ids), within_s=120, what="one explanation of every alert"
    )
    await eventually(
        lambda: all_in_incidents(door, ids), within_s=120, what="every alert in one incident"
    )
