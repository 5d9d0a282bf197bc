"""POST /api/v1/write before a real ingest: what a receiver of remote write owes its senders."""

from typing import Any

import cramjam
import httpx
import pytest

from mesh.errors import Overloaded, Unavailable
from sensus.ingest.v1 import ingest_service_pb2 as pb
from tests.gateway.conftest import Running, Start, reason_of
from tests.gateway.remote_write import (
    NAMES,
    NOW_MS,
    V1,
    WRITTEN,
    stored,
    until_described,
    v1,
    v2,
    write,
)
from tests.gateway.scripted import Script
from tests.ingest.prometheus.messages import Request, WriteRequest


@pytest.mark.parametrize("message", [v1, v2])
async def test_samples_are_stored_before_the_answer(
    to_ingest: httpx.AsyncClient, message: Any
) -> None:
    name = next(NAMES)
    labels = {"__name__": name, "instance": "a:1", "job": "test"}
    answer = await write(to_ingest, message((labels, [(3000, 1.5), (2000, 2.5)])))
    assert (answer.status_code, answer.content) == (204, b"")
    assert await stored(to_ingest, name) == [(labels, [(3000, 1.5), (2000, 2.5)])]


@pytest.mark.parametrize("message", [v1, v2])
async def test_a_body_that_comes_again_counts_once(
    to_ingest: httpx.AsyncClient, message: Any
) -> None:
    name = next(NAMES)
    request = message(({"__name__": name}, [(3000, 1.0)]))
    answers = [await write(to_ingest, request) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [204] * 3
    assert await stored(to_ingest, name) == [({"__name__": name}, [(3000, 1.0)])]
    counts = {answer.headers.get(WRITTEN.format("Samples")) for answer in answers}
    assert counts == ({"1"} if message is v2 else {None})


@pytest.mark.parametrize("message", [v1, v2])
async def test_what_is_bad_is_400_and_the_rest_is_stored(
    to_ingest: httpx.AsyncClient, message: Any
) -> None:
    name = next(NAMES)
    good = {"__name__": name, "kind": "good"}
    answer = await write(
        to_ingest,
        message(
            ({"job": "no name"}, [(1000, 1.0)]),
            (good, [(1000, 1.0), (-3_600_000, 2.0), (900, 3.0)]),
            ({"__name__": name, "": "no label name"}, [(1000, 1.0)]),
            ({"__name__": name, "long": "x" * 1_000_000}, [(1000, 1.0)]),
            ({"__name__": name} | {f"l{n}": "x" for n in range(10_000)}, [(1000, 1.0)]),
            ({"__name__": name, "nul": "a\0b"}, [(1000, 1.0)]),
        ),
    )
    assert answer.status_code == 400
    message_text = answer.json()["error"]["message"]
    assert "6 refused, 2 stored" in message_text
    assert "timeseries[0]" in message_text
    assert await stored(to_ingest, name) == [(good, [(1000, 1.0), (900, 3.0)])]
    if message is v2:
        assert answer.headers[WRITTEN.format("Samples")] == "2"


async def test_a_label_name_that_comes_twice_is_refused(to_ingest: httpx.AsyncClient) -> None:
    request = v1(({"__name__": next(NAMES), "a": "1"}, [(1000, 1.0)]))
    request.timeseries[0].labels.add(name="a", value="2")
    answer = await write(to_ingest, request)
    assert (answer.status_code, reason_of(answer)) == (400, "INVALID_LABELS")


async def test_the_order_of_labels_does_not_matter(to_ingest: httpx.AsyncClient) -> None:
    name = next(NAMES)
    for labels in ({"__name__": name, "a": "1", "b": "2"}, {"b": "2", "a": "1", "__name__": name}):
        ago = 2000 if next(iter(labels)) == "b" else 3000
        assert (await write(to_ingest, v1((labels, [(ago, 1.0)])))).status_code == 204
    assert len(await stored(to_ingest, name)) == 1


async def test_histograms_exemplars_and_metadata_are_told_apart(
    to_ingest: httpx.AsyncClient,
) -> None:
    name = next(NAMES)
    request = v2(({"__name__": name}, []))
    one = request.timeseries[0]
    one.histograms.add(timestamp=NOW_MS - 1000, count_int=3, sum=4.5, schema=0)
    one.histograms[0].positive_spans.add(offset=0, length=1)
    one.histograms[0].positive_deltas.append(3)
    one.exemplars.add(value=1.0, timestamp=NOW_MS - 1000)
    one.metadata.type = 3
    one.metadata.help_ref, one.metadata.unit_ref = len(request.symbols), 0
    request.symbols.append("How long it took.")
    answer = await write(to_ingest, request)
    await until_described(to_ingest, name, ("METRIC_TYPE_HISTOGRAM", "", "How long it took."))
    assert answer.status_code == 204
    counts = [
        answer.headers[WRITTEN.format(kind)] for kind in ("Samples", "Histograms", "Exemplars")
    ]
    assert counts == ["0", "1", "0"]
    assert await stored(to_ingest, f"{name}_count") == [
        ({"__name__": f"{name}_count"}, [(1000, 3)])
    ]


@pytest.mark.parametrize("request_", [WriteRequest(), Request(), Request(symbols=[""])])
async def test_an_empty_message_is_taken(to_ingest: httpx.AsyncClient, request_: Any) -> None:
    assert (await write(to_ingest, request_)).status_code == 204


async def test_metadata_alone_is_taken(to_ingest: httpx.AsyncClient) -> None:
    request = WriteRequest()
    name = next(NAMES)
    for text in ("first", "Seconds of CPU."):
        request.metadata.add(type=1, metric_family_name=name, help=text, unit="seconds")
        assert (await write(to_ingest, request)).status_code == 204
    await until_described(to_ingest, name, ("METRIC_TYPE_COUNTER", "seconds", "Seconds of CPU."))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "application/json"}, 415),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-protobuf;proto=some.Other"}, 415),
        ({"Content-Encoding": "gzip"}, 415),
        ({"Content-Encoding": "identity"}, 415),
        ({"Content-Type": "application/x-protobuf; proto=prometheus.WriteRequest"}, 204),
    ],
)
async def test_types_are_negotiated(
    to_ingest: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    answer = await write(to_ingest, v1(({"__name__": next(NAMES)}, [(1000, 1.0)])), **headers)
    assert answer.status_code == status, answer.text


def varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


BODY = v1(*[({"__name__": "captured", "n": str(n)}, [(1000, 1.0)]) for n in range(20)])
PACKED = bytes(cramjam.snappy.compress_raw(BODY.SerializeToString()))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"", 400, id="empty"),
        pytest.param(b"\xff" * 20, 400, id="no length"),
        pytest.param(PACKED[: len(PACKED) // 2], 400, id="cut"),
        pytest.param(varint(256 * 1024 * 1024) + PACKED[2:], 413, id="claims 256 MiB"),
        pytest.param(varint(2**32 - 1), 413, id="claims all that snappy can"),
        pytest.param(bytes(cramjam.snappy.compress_raw(b"\0" * 50)), 400, id="no message"),
        pytest.param(bytes(cramjam.snappy.compress_raw(b"\x0a\x7f")), 400, id="a cut message"),
        pytest.param(bytes(cramjam.snappy.compress_raw(b"\x0a\x00" * 1_100_000)), 400, id="many"),
        pytest.param(BODY.SerializeToString(), 400, id="not compressed"),
    ],
)
async def test_a_body_that_cannot_be_read_is_its_senders_fault(
    to_ingest: httpx.AsyncClient, body: bytes, status: int
) -> None:
    answer = await to_ingest.post("/api/v1/write", content=body, headers=V1)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["message"]


async def test_any_bit_of_a_captured_body_may_flip(to_ingest: httpx.AsyncClient) -> None:
    for at in range(0, 8 * len(PACKED), 97):
        flipped = bytearray(PACKED)
        flipped[at // 8] ^= 1 << at % 8
        answer = await to_ingest.post("/api/v1/write", content=bytes(flipped), headers=V1)
        assert answer.status_code in (204, 400, 413), (at, answer.text)


async def test_too_many_samples_are_413(to_ingest: httpx.AsyncClient) -> None:
    samples = [(n, 1.0) for n in range(100_001)]
    answer = await write(to_ingest, v1(({"__name__": next(NAMES)}, samples)))
    assert (answer.status_code, reason_of(answer)) == (413, "BODY_TOO_LARGE")


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("no database", retry_after_s=2),
        Overloaded("too much of yours waits", reason="CALLER_OVER_LIMIT", retry_after_s=2),
    ],
)
async def test_what_cannot_be_committed_now_is_503(
    client: httpx.AsyncClient, script: Script, error: Exception
) -> None:
    script.answers["RemoteWrite"] = error
    answer = await write(client, BODY)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")


async def test_a_sender_over_its_rate_is_503_too(start: Start, script: Script) -> None:
    script.answers["RemoteWrite"] = pb.RemoteWriteResponse()
    async with start(rate_telemetry=1) as running, running.client("operator") as client:
        assert [(await write(client, BODY)).status_code for _ in range(2)] == [204, 503]


async def test_who_may_not_write_samples_is_turned_away(running: Running) -> None:
    assert (await write(running.http, BODY)).status_code == 401
    async with running.client("viewer") as viewer:
        assert (await write(viewer, BODY)).status_code == 403
