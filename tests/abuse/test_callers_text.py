"""What a caller makes up becomes no label, no long log, and no secret in a log."""

import asyncio
import re

import grpc
import httpx
import pytest

from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb2
from tests.abuse.hostile_frames import CHECK
from tests.abuse.methods import GRPC_SERVICES, METHODS
from tests.abuse.raw_http2 import call, send
from tests.product import Door

MADE_UP = "madeup"
REFUSALS = 120
ANSWERED = b"grpc-status"


def metrics_url(door: Door, service: str) -> str:
    """Where a service shows its metrics."""
    if service == "gateway":
        return f"{door.product.run.gateway_url}/metrics"
    return f"http://127.0.0.1:{getattr(door.product.ports, f'metrics_{service}')}/metrics"


async def label_values(door: Door, service: str) -> set[str]:
    """The values of all labels of all metrics."""
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        text = (await client.get(metrics_url(door, service), timeout=30)).text
    return set(re.findall(r'[{,]\w+="((?:[^"\\]|\\.)*)"', text))


async def provoke(port: int, method: bytes) -> None:
    """Calls with made-up text wherever there is room for it."""
    text = MADE_UP.encode()
    for data in (
        call(b"/" + text),
        call(b"/" + text + b"\xff"),
        call(b"/grpc.health.v1.Health/" + text),
        call(method + text),
        call(method, bytes(5), (b"authorization", b"Bearer " + text)),
        call(method, bytes(5), (b"authorization", b"Bearer " + text + b"\xff")),
        call(method, bytes(5), (b"user-agent", text), (b"x-" + text, text)),
        call(CHECK, b"\0\0\0\0\x08\x0a\x06" + text),
    ):
        await send(port, data)


async def test_no_label_of_any_metric_takes_a_callers_text(door: Door) -> None:
    for service in GRPC_SERVICES:
        port = int(getattr(door.product.run, f"{service}_target").rpartition(":")[2])
        await provoke(port, METHODS[service])
    opened = ingest_pb2.SubscribeOpen(
        subscription=MADE_UP,
        consumer_id=MADE_UP,
        topic=ingest_pb2.TOPIC_SAMPLES,
        mode=ingest_pb2.SUBSCRIPTION_MODE_SHARDED,
    )
    opened.heartbeat_interval.FromMilliseconds(1000)
    stream = door.ingest.Subscribe()
    await stream.write(ingest_pb2.SubscribeRequest(open=opened))
    for _ in range(4):
        await asyncio.wait_for(stream.read(), 60)
    stream.cancel()
    await door.write(MADE_UP, {f"{MADE_UP}_metric": [(1, 1.0)]})
    for url in (f"/{MADE_UP}", f"/api/v1/alerts?{MADE_UP}=1"):
        await door.http.request(MADE_UP.upper(), url)
    for service in (*GRPC_SERVICES, "gateway"):
        values = await label_values(door, service)
        assert "rpc_method" not in values
        assert [v for v in values if MADE_UP in v.lower()] == [], service
    assert "_OTHER" in await label_values(door, "ingest")


async def test_refusals_fill_no_log_and_show_no_credential(
    door: Door, service: str, port: int
) -> None:
    log = door.product.directory.logs / f"{service}.log"
    before = log.stat().st_size
    secret = b"s3cret-" + service.encode()
    path = METHODS[service]
    for data in (
        call(path, bytes(5), (b"authorization", b"Bearer " + secret)),
        call(path, bytes(5), (b"authorization", b"Bearer " + secret + b"\xff")),
        call(path, bytes(5), (b"x-note", secret + b"\xff\xfe")),
        call(CHECK, b"\0\0\0\0\x04\xff\xff\xff\xff"),
        call(b"/\xff"),
    ):
        for _ in range(0, REFUSALS, 20):
            sent = (send(port, data, answer_s=1, until=ANSWERED) for _ in range(20))
            await asyncio.gather(*sent)
    written = log.read_bytes()[before:]
    assert secret not in written
    assert b"Traceback" not in written
    # a line has 200; twenty of a kind are written in a minute, and the test may last two
    assert len(written) / (5 * REFUSALS) < 60, f"{len(written)} bytes for {5 * REFUSALS} refusals"


async def test_calls_without_a_right_are_counted_by_their_method(door: Door, port: int) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await channel.unary_unary("/no.such.Service/Method")(b"")
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
