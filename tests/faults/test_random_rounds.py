"""Rounds of kills and cut lines at random points, with senders of every kind on: lost 0, doubled 0.

`make drill` runs fifty rounds, other runs five; SENSUS_DRILL_ROUNDS says how many.
"""

import asyncio
import os
import random
import time
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
from tests.ingest.valve import Valve, tcp_valve
from tests.product import UNLIMITED, Door, eventually, started

ROUNDS = int(os.environ.get("SENSUS_DRILL_ROUNDS", "5"))
VICTIMS = (
    "ingest",
    "detector",
    "explainer",
    "incidents",
    "notifier",
    "topology",
    "gateway",
    "postgres",
    "redis",
)

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300 + 120 * ROUNDS)]


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    """A product of its own: all that it scores is what is sent here."""
    async with started(tmp_path / "data", settings=UNLIMITED) as door:
        yield door


async def test_rounds_of_kills_lose_and_double_nothing(door: Door) -> None:
    seed = time.time_ns()
    chance = random.Random(seed)
    host, _, port = door.product.run.ingest_target.rpartition(":")

    def metadata() -> list[tuple[str, str]]:
        return [("authorization", door.http.headers["Authorization"])]

    async with (
        tcp_valve(host, int(port)) as (line, line_port),
        grpc.aio.insecure_channel(f"127.0.0.1:{line_port}") as channel,
    ):
        senders = [batches(channel, metadata), otlp(channel, metadata), remote_write(door)]
        async with sending(senders):
            for number in range(ROUNDS):
                answered = [sender.answered for sender in senders]
                await hurt(door, line, chance)
                await eventually(
                    lambda before=answered: all_go_on(senders, before),
                    within_s=120,
                    what=f"answers after round {number} of seed {seed}",
                )
    for sender in senders:
        await holds_once(door, sender)
    sent = SERIES * sum(sender.answered for sender in senders)
    await eventually(lambda: scored(door, sent), within_s=180, what="the score of each sample")
    assert sum(sender.again for sender in senders) > 0, "no round hurt anybody"


async def hurt(door: Door, line: Valve, chance: random.Random) -> None:
    """Kills one process at some point, and on some rounds stalls or cuts the line as well."""
    await asyncio.sleep(chance.uniform(0.1, 1.5))
    trouble = chance.choice((line.stall, line.cut, None))
    if trouble is not None:
        trouble()
    await door.kill(chance.choice(VICTIMS))
    await asyncio.sleep(chance.uniform(0.1, 1.5))
    line.open()
