"""Whatever senders bring: bounds hold, others are left alone, nothing secret is stored."""

import time
from typing import Any

import asyncpg
import grpc
import numpy as np
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from mesh.interceptors import client_interceptors
from services.topology.minutes.edges import MANY, MOST, MOST_OF_OPERATION, OTHER_ID, Edges
from tests.databases import fetch
from tests.ingest.otlp.events import logs, traces
from tests.topology.running import Running, until
from tests.topology.shop import trace

SECRETS = ("hunter2", "4111 1111 1111 1111", "AKIAIOSFODNN7EXAMPLE", "ann@example.com", "eyJhbGci")
LINE = (
    "login of ann@example.com failed: password=hunter2 card 4111 1111 1111 1111 "
    "key AKIAIOSFODNN7EXAMPLE token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
)


def spans(names: list[str], service: str, **more: Any) -> Any:
    """One trace for each name."""
    made = [
        {
            "trace_id": (0xB0B << 64 | hash((service, name)) & (1 << 63) - 1).to_bytes(16, "big"),
            "span_id": (place + 1).to_bytes(8, "big"),
            "name": name,
            "start_time_unix_nano": time.time_ns() - 5_000_000,
            "end_time_unix_nano": time.time_ns(),
        }
        | more
        for place, name in enumerate(names)
    ]
    return traces(*made, resource={"service.name": service})


def word(number: int) -> str:
    """A name without a digit, so that nothing of it is masked."""
    return "".join(chr(ord("a") + int(digit)) for digit in f"{number:07}")


async def test_a_bomb_of_names_leaves_others_alone(topology: Running) -> None:
    bombs = 8000
    minter = topology.minter
    tokens = client_interceptors(tokens=lambda: minter.mint("user:bomb", ["write:traces"], 600))

    target = f"127.0.0.1:{topology.ingest.port}"
    async with grpc.aio.insecure_channel(target, interceptors=tokens) as channel:
        bomb = TraceServiceStub(channel)
        for begin in range(0, bombs, 2000):
            await bomb.Export(spans([word(n) for n in range(begin, begin + 2000)], "bomb"))
        answer = await bomb.Export(traces({}, resource={"service.name": f"{word(0)} one"}))
        assert not answer.partial_success.rejected_spans
    for number in range(1, 6):
        await topology.send(*trace(number))
    await topology.counted(bombs + 25)
    mine = await topology.edges(by_operation=True, service="cart", page_size=1000)
    assert {each.counts.spans for each in mine.edges} == {5}
    assert {each.edge.operation for each in mine.edges} >= {"GET /cart/{id}", "POST"}
    bombed = await topology.edges(service="bomb")
    assert sum(each.counts.spans for each in bombed.edges) == bombs
    names = "SELECT name FROM topology.name WHERE service = 'bomb'"
    stored = {row["name"] for row in await fetch(topology.settings.postgres_dsn, names)}
    assert len(stored) <= 5001
    assert "(other)" in stored


def test_edges_are_bounded_and_all_calls_are_counted() -> None:
    def keys(callers: range, operation: int) -> Any:
        made = np.zeros((len(callers), 5), np.uint64)
        made[:, 0], made[:, 1], made[:, 3] = np.array(callers) + 10, operation, 2
        return made

    edges = Edges()
    for operation in range(100, 100 + 2 * MOST, 50):
        places = edges.places(
            np.concatenate([keys(range(1), each) for each in range(operation, operation + 50)])
        )
        np.add.at(edges.counts[:, 0], places, 1)
    places = edges.places(keys(range(1000), 100))
    np.add.at(edges.counts[:, 0], places, 1)
    assert len(edges) <= MOST + 10
    assert edges.total("spans") == 2 * MOST + 1000
    fewer = Edges()
    places = fewer.places(keys(range(1000), 7))
    assert len(fewer) == MOST_OF_OPERATION + 1
    assert [key for key, _ in fewer.items() if key[0] == OTHER_ID] == [(OTHER_ID, 7, 0, 2, 0)]
    assert (fewer.places(keys(range(1000), 7)) == places).all()
    assert MANY < MOST


async def test_wild_times_circles_and_wrong_ids_are_said_and_end_nothing(
    topology: Running,
) -> None:
    day_ns = 86_400_000_000_000
    now_ns = time.time_ns()
    stub = TraceServiceStub(topology.ingest.channel)
    beside = {"trace_id": (7).to_bytes(16, "big"), "start_time_unix_nano": now_ns - 1000}
    answer = await stub.Export(
        traces(
            {"trace_id": b"short"},
            {"span_id": b"AAAAAAAAAAA="},
            {"end_time_unix_nano": now_ns + 365 * 75 * day_ns},
            beside | {"start_time_unix_nano": 1, "end_time_unix_nano": 2},
            beside | {"end_time_unix_nano": now_ns},
            beside | {"end_time_unix_nano": now_ns, "parent_span_id": (7).to_bytes(8, "big")},
            beside | {"end_time_unix_nano": now_ns, "parent_span_id": (9).to_bytes(8, "big")},
            beside | {"end_time_unix_nano": now_ns, "parent_span_id": (8).to_bytes(8, "big")},
        )
    )
    assert answer.partial_success.rejected_spans == 3
    assert answer.partial_success.error_message
    answer = await topology.counted(4)
    assert (answer.coverage.spans, answer.coverage.lost) == (4, 1)


async def test_nothing_secret_is_in_any_store(topology: Running) -> None:
    fault = {"exception.type": "LoginError", "exception.message": LINE}
    failing = {
        "error": True,
        "attributes": {"db.query.text": LINE, "url.full": f"https://x/?q={LINE}", "user.id": LINE},
        "events": [fault | {"exception.stacktrace": f"File 'a.py', line 3, in f\n{LINE}"}],
    }
    now_ns = time.time_ns()
    line = {"severity_number": 17, "body": LINE, "attributes": fault, "time_unix_nano": now_ns}
    await topology.send(spans(["login"], "door", **failing), logs(line, line))
    await topology.counted(1)

    async def stored() -> bool:
        return bool(await fetch(topology.settings.postgres_dsn, "SELECT 1 FROM topology.example"))

    await until(stored)
    found = await texts_of(topology.settings.postgres_dsn)
    assert any("LoginError" in each for each in found)
    assert not [(secret, each) for each in found for secret in SECRETS if secret in each]


async def texts_of(dsn: str) -> list[str]:
    """All rows of all tables, bytes as they are."""
    connection = await asyncpg.connect(dsn)
    try:
        tables = await connection.fetch(
            "SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n "
            "ON n.oid = relnamespace WHERE relkind = 'r' AND nspname IN ('ingest', 'topology')"
        )
        texts = list[str]()
        for table in tables:
            for row in await connection.fetch(f"SELECT * FROM {table['name']}"):
                texts += [
                    value.decode("latin-1") if isinstance(value, bytes) else str(value)
                    for value in row.values()
                ]
        return texts
    finally:
        await connection.close()
