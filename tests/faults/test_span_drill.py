"""Topology, ingest, stores under kill -9: each span answered counts once, replays are alike."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from cli.product.tokens import user_token
from mesh.interceptors import client_interceptors
from mesh.wire import OWN_CONNECTIONS
from tests.faults.senders import Sender, sending
from tests.product import UNLIMITED, Door, eventually, started
from tests.topology.shop import trace

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

VICTIMS = ("topology", "ingest", "postgres", "redis", "topology")
TRACES = 100
"""Of a body, each of five spans and four edges."""
_RETRYABLE = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.ABORTED,
)
_ROWS = "SELECT minute, shard, content FROM topology.minute WHERE is_final ORDER BY minute, shard"
_OPEN = "SELECT count(*) FROM topology.minute WHERE NOT is_final"
_FORGET = """
UPDATE topology.shard SET cursor = 0, second = 0, final_before = 0, pending = '';
DELETE FROM topology.minute; DELETE FROM topology.pattern_lines; DELETE FROM topology.example;
"""


@pytest.fixture(scope="module")
async def door(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    """A product that is hurt again and again."""
    data_dir: Path = tmp_path_factory.mktemp("spans") / "data"
    async with started(data_dir, settings=UNLIMITED) as door:
        yield door


@asynccontextmanager
async def exporting(door: Door, number: int) -> AsyncIterator[Sender]:
    """A sender of whole traces: nothing of a trace comes later than the rest."""
    token = user_token(door.product.directory, scopes=["write:traces"])
    target = door.product.run.ingest_target
    tokens = client_interceptors(tokens=lambda: token, default_timeout_s=10)
    async with grpc.aio.insecure_channel(target, OWN_CONNECTIONS, interceptors=tokens) as channel:
        export = channel.unary_unary(
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            request_serializer=bytes,
            response_deserializer=ExportTraceServiceResponse.FromString,
        )

        def body(place: int) -> bytes:
            first = (number * 1_000_000 + place) * TRACES
            request, *more = (each for n in range(TRACES) for each in trace(first + n))
            for each in more:
                request.MergeFrom(each)
            content: bytes = request.SerializeToString()
            return content

        async def deliver(content: bytes) -> bool:
            try:
                answer = await export(content)
            except grpc.aio.AioRpcError as error:
                if error.code() not in _RETRYABLE:
                    raise
                return False
            assert not answer.partial_success.error_message
            return True

        yield Sender(f"spans {number}", body, deliver)


async def coverage(door: Door) -> tuple[dict[str, int], int]:
    """What all minutes rest on, and the spans of all edges."""
    asked = {"start_time": (datetime.now(UTC) - timedelta(hours=1)).isoformat()}
    answer = await door.http.get("/api/v1/topology/edges", params=asked)
    answer.raise_for_status()
    said = answer.json()
    edges = sum(int(each["counts"]["spans"]) for each in said.get("edges", []))
    return {name: int(value) for name, value in said["coverage"].items()}, edges


async def rows_when_final(door: Door) -> list[asyncpg.Record]:
    """All rows, when none can change any more."""

    async def final() -> list[asyncpg.Record] | None:
        connection = await asyncpg.connect(door.product.run.postgres_dsn)
        try:
            if await connection.fetchval(_OPEN):
                return None
            return await connection.fetch(_ROWS) or None
        finally:
            await connection.close()

    return await eventually(final, within_s=300, what="minutes that are final")


async def counted(door: Door, spans: int) -> None:
    """Waits until so many spans are counted, and checks that each counts once."""

    async def all_there() -> bool | None:
        return True if (await coverage(door))[0].get("spans", 0) >= spans else None

    await eventually(all_there, within_s=300, what=f"{spans} spans")
    said, edges = await coverage(door)
    assert said["spans"] == spans
    assert edges == spans // 5 * 4
    assert said["traces"] == spans // 5
    assert not {"orphans", "late", "lost"} & {name for name, value in said.items() if value}


async def test_each_span_counts_once_and_a_replay_gives_the_same_bytes(door: Door) -> None:
    async with exporting(door, 1) as one, exporting(door, 2) as two:
        senders = [one, two]
        async with sending(senders):
            for victim in VICTIMS:
                before = [each.answered for each in senders]
                await door.kill(victim)

                async def all_went_on(before: list[int] = before) -> bool | None:
                    went_on = (s.answered > b + 10 for s, b in zip(senders, before, strict=True))
                    return True if all(went_on) else None

                await eventually(all_went_on, what=f"answers after {victim} was killed")
    spans = sum(each.answered for each in senders) * TRACES * 5
    await counted(door, spans)
    rows = await rows_when_final(door)
    connection = await asyncpg.connect(door.product.run.postgres_dsn)
    try:
        await connection.execute(_FORGET)
    finally:
        await connection.close()
    await counted(door, spans)
    assert await rows_when_final(door) == rows
    assert len(rows) > 1
