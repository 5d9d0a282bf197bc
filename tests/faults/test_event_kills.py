"""kill -9 of what the log of events stands on: what was acknowledged is read, and once."""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from services.ingest.model.events import LINES, RECORD
from tests.event_reader import EventReader, reading
from tests.faults.senders import Sender, event_ids, records, sending, spans
from tests.product import UNLIMITED, Door, eventually, started

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

VICTIMS = ("ingest", "postgres", "redis", "ingest", "postgres")


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    """A product that is hurt again and again."""
    async with started(tmp_path / "data", settings=UNLIMITED) as door:
        yield door


async def test_spans_and_records_are_neither_lost_nor_doubled(door: Door) -> None:
    def metadata() -> list[tuple[str, str]]:
        return [("authorization", door.http.headers["Authorization"])]

    target = door.product.run.ingest_target
    async with (
        grpc.aio.insecure_channel(target) as channel,
        reading(door.ingest, "drill") as reader,
    ):
        senders = [spans(channel, metadata), records(channel, metadata)]
        async with sending(senders):
            for victim in VICTIMS:
                before = [each.answered for each in senders]
                await door.kill(victim)

                async def all_went_on(before: list[int] = before) -> bool | None:
                    pairs = zip(senders, before, strict=True)
                    return all(each.answered > count + 10 for each, count in pairs) or None

                await eventually(all_went_on, what=f"answers after {victim} was killed")
        sent = [acknowledged(each) for each in senders]

        async def all_read() -> bool | None:
            return (
                all(
                    sum(found.values()) >= len(one)
                    for found, one in zip(read(reader), sent, strict=True)
                )
                or None
            )

        await eventually(all_read, within_s=300, what="all that was acknowledged")
        assert read(reader) == [Counter(each) for each in sent]
    assert sum(each.again for each in senders) > 0, "no kill hurt anybody"
    counts = " and ".join(
        f"{len(one)} {each.name}" for one, each in zip(sent, senders, strict=True)
    )
    print(f"{len(VICTIMS)} kills, {counts}: lost 0, doubled 0")  # noqa: T201


def acknowledged(sender: Sender) -> list[tuple[bytes, bytes]]:
    """The ids of all events that were answered."""
    return [each for number in range(1, sender.answered + 1) for each in event_ids(number)]


def read(reader: EventReader) -> list[Counter[tuple[bytes, bytes]]]:
    """How often each span, and each record, was read."""
    rows = reader.rows
    of_spans, of_records = rows["kind"] < RECORD, rows["kind"] == RECORD
    assert set(rows["kind"][~(of_spans | of_records)]) <= {LINES}
    return [
        Counter((bytes(each["trace_id"]), bytes(each["span_id"])) for each in rows[some])
        for some in (of_spans, of_records)
    ]
