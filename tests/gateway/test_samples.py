"""POST /api/v1/metrics."""

import math
import time
from typing import Any

import httpx
import pytest

from mesh.errors import Unavailable
from sensus.ingest.v1 import ingest_service_pb2 as ingest
from tests.gateway.conftest import Running, fields_of, reason_of
from tests.gateway.scripted import Script

CPU = {"metric_name": "cpu_usage", "metric_value": 0.5, "labels": {"host": "a"}}


def taking(request: ingest.WriteBatchRequest) -> ingest.WriteBatchResponse:
    """An ingest that stores everything."""
    count = len(request.batch.packed.values)
    return ingest.WriteBatchResponse(
        ack=ingest.WriteAck(sequence=request.batch.sequence, accepted=count)
    )


async def test_one_sample_is_written(client: httpx.AsyncClient, script: Script) -> None:
    script.answers["WriteBatch"] = taking
    before_ms = int(time.time() * 1000)
    response = await client.post("/api/v1/metrics", json=CPU)
    assert response.status_code == 200
    assert response.json() == {"accepted": 1, "duplicates": 0, "errors": []}
    request = script.last("WriteBatch").request
    assert request.producer_id.startswith("gateway:")
    labels = {label.name: label.value for label in request.series[0].labels}
    assert labels == {"__name__": "cpu_usage", "host": "a"}
    assert list(request.batch.packed.values) == [0.5]
    assert before_ms <= request.batch.packed.timestamps_ms[0] <= time.time() * 1000


async def test_values_and_times_come_in_every_form(
    client: httpx.AsyncClient, script: Script
) -> None:
    script.answers["WriteBatch"] = taking
    sent = [
        CPU | {"metric_value": 1, "timestamp": 1795168800},
        CPU | {"metric_value": "NaN", "timestamp": 1795168800.25},
        CPU | {"metric_value": "+Inf", "timestamp": "2026-11-20T10:00:01Z"},
        CPU | {"metric_value": "-Inf", "timestamp": "2026-11-20T11:00:01.5+01:00"},
        {"metric_name": "other", "metric_value": 2, "timestamp": 0},
    ]
    response = await client.post("/api/v1/metrics", json=sent)
    assert response.json()["accepted"] == 5
    request = script.last("WriteBatch").request
    values = list(request.batch.packed.values)
    assert math.isnan(values.pop(1))
    assert values == [1, math.inf, -math.inf, 2]
    at = 1795168800000
    assert list(request.batch.packed.timestamps_ms) == [at, at + 250, at + 1000, at + 1500, 0]
    assert list(request.batch.packed.series_refs) == [0, 0, 0, 0, 1]
    assert len(request.series) == 2


async def test_the_size_of_a_timestamp_shows_its_unit(
    client: httpx.AsyncClient, script: Script
) -> None:
    script.answers["WriteBatch"] = taking
    at_ms = 1_795_844_358_374
    stamps = [at_ms, at_ms * 1000 + 1, at_ms * 10**6 + 2, at_ms / 1000 + 1]
    sent = [CPU | {"labels": {"n": str(n)}, "timestamp": at} for n, at in enumerate(stamps)]
    assert (await client.post("/api/v1/metrics", json=sent)).json()["accepted"] == 4
    request = script.last("WriteBatch").request
    assert list(request.batch.packed.timestamps_ms) == [at_ms, at_ms, at_ms, at_ms + 1000]


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("lables", "unknown field 'lables': did you mean 'labels'?"),
        ("time_stamp", "unknown field 'time_stamp': did you mean 'timestamp'?"),
        (
            "host",
            "unknown field 'host': send only metric_name, metric_value, labels and timestamp",
        ),
    ],
)
async def test_an_unknown_field_is_named(
    client: httpx.AsyncClient, script: Script, field: str, message: str
) -> None:
    script.answers["WriteBatch"] = taking
    response = await client.post("/api/v1/metrics", json=[CPU, CPU | {field: {}}])
    (error,) = response.json()["errors"]
    assert (error["index"], error["reason"], error["message"]) == (1, "UNKNOWN_FIELD", message)


async def test_the_same_series_and_timestamp_counts_once(
    client: httpx.AsyncClient, script: Script
) -> None:
    script.answers["WriteBatch"] = taking
    first = CPU | {"timestamp": 1795168800}
    sent = [first, first | {"metric_value": 9}, first | {"labels": {"host": "b"}}, first]
    response = await client.post("/api/v1/metrics", json=sent)
    assert response.json() == {"accepted": 2, "duplicates": 2, "errors": []}
    assert list(script.last("WriteBatch").request.batch.packed.values) == [0.5, 0.5]


async def test_bad_samples_are_named_by_their_place(
    client: httpx.AsyncClient, script: Script
) -> None:
    script.answers["WriteBatch"] = ingest.WriteBatchResponse(
        ack=ingest.WriteAck(
            accepted=1,
            rejected=1,
            errors=[
                ingest.SampleError(
                    index=1,
                    reason=ingest.SAMPLE_ERROR_REASON_TOO_FAR_IN_FUTURE,
                    message="too far ahead",
                    retryable=True,
                )
            ],
        )
    )
    sent: list[Any] = [
        CPU | {"metric_value": "much"},
        CPU,
        CPU | {"labels": {"a": 1}},
        CPU | {"timestamp": "noon"},
        CPU | {"metric_value": True},
        CPU | {"timestamp": 4e9},
        7,
        {"metric_value": 1},
        CPU | {"labels": {"__name__": "other"}},
        CPU | {"timestamp": 1e300},
    ]
    response = await client.post("/api/v1/metrics", json=sent)
    assert response.status_code == 200
    assert response.json()["accepted"] == 1
    assert [(e["index"], e["reason"]) for e in response.json()["errors"]] == [
        (0, "INVALID_VALUE"),
        (2, "INVALID_LABELS"),
        (3, "INVALID_TIMESTAMP"),
        (4, "INVALID_VALUE"),
        (5, "TOO_FAR_IN_FUTURE"),
        (6, "INVALID_LABELS"),
        (7, "INVALID_LABELS"),
        (8, "INVALID_LABELS"),
        (9, "INVALID_TIMESTAMP"),
    ]
    assert [e["retryable"] for e in response.json()["errors"]].count(True) == 1


async def test_sequences_rise(client: httpx.AsyncClient, script: Script) -> None:
    script.answers["WriteBatch"] = taking
    for _ in range(3):
        await client.post("/api/v1/metrics", json=CPU)
    requests = [call.request for call in script.calls]
    sequences = [request.batch.sequence for request in requests]
    assert sequences == sorted(set(sequences))
    assert len({request.producer_id for request in requests}) == 1


async def test_the_same_series_and_times_are_the_same_batch(
    running: Running, client: httpx.AsyncClient, script: Script
) -> None:
    script.answers["WriteBatch"] = taking
    one, two = (CPU | {"timestamp": 1795168800 + n} for n in range(2))
    for body in ([one, two], [two | {"metric_value": 9}, one], [one], [one, two, CPU]):
        await client.post("/api/v1/metrics", json=body)
    await running.http.post("/api/v1/metrics", json=[one, two], headers=running.headers("admin"))
    origins = [(c.request.producer_id, c.request.batch.sequence) for c in script.calls]
    assert origins[0] == origins[1]
    assert len(set(origins)) == 4


async def test_a_repeat_of_what_was_refused_in_part_is_written_anew(
    client: httpx.AsyncClient, script: Script
) -> None:
    def once(request: ingest.WriteBatchRequest) -> ingest.WriteBatchResponse:
        if script.count("WriteBatch") > 1:
            return taking(request)
        return ingest.WriteBatchResponse(
            ack=ingest.WriteAck(accepted=1, duplicate=True, rejected=1)
        )

    script.answers["WriteBatch"] = once
    sent = [CPU | {"timestamp": 1795168800 + n} for n in range(2)]
    response = await client.post("/api/v1/metrics", json=sent)
    assert response.json() == {"accepted": 2, "duplicates": 0, "errors": []}


async def test_an_idempotency_key_makes_a_repeat_the_same_batch(
    running: Running, client: httpx.AsyncClient, script: Script
) -> None:
    script.answers["WriteBatch"] = taking
    headers = {"Idempotency-Key": "batch 7"}
    for sender in (client, client):
        await sender.post("/api/v1/metrics", json=CPU, headers=headers)
    await client.post("/api/v1/metrics", json=CPU, headers={"Idempotency-Key": "batch 8"})
    await running.http.post("/api/v1/metrics", json=CPU, headers=headers | running.headers("admin"))
    origins = [(c.request.producer_id, c.request.batch.sequence) for c in script.calls]
    assert origins[0] == origins[1]
    assert len(set(origins)) == 3


async def test_an_idempotency_key_with_another_body_is_422(
    client: httpx.AsyncClient, script: Script
) -> None:
    script.answers["WriteBatch"] = taking
    headers = {"Idempotency-Key": "one body"}
    assert (await client.post("/api/v1/metrics", json=CPU, headers=headers)).status_code == 200
    other = CPU | {"metric_value": 1.5}
    response = await client.post("/api/v1/metrics", json=other, headers=headers)
    assert (response.status_code, reason_of(response)) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert (await client.post("/api/v1/metrics", json=CPU, headers=headers)).status_code == 200
    assert script.count("WriteBatch") == 2


async def test_a_repeat_is_told_as_duplicate(client: httpx.AsyncClient, script: Script) -> None:
    script.answers["WriteBatch"] = ingest.WriteBatchResponse(
        ack=ingest.WriteAck(accepted=1, duplicate=True)
    )
    response = await client.post("/api/v1/metrics", json=CPU)
    assert response.json() == {"accepted": 0, "duplicates": 1, "errors": []}


@pytest.mark.parametrize(
    "answer",
    [
        Unavailable("no database", retry_after_s=2),
        ingest.WriteBatchResponse(
            ack=ingest.WriteAck(
                rejected=1,
                errors=[
                    ingest.SampleError(
                        reason=ingest.SAMPLE_ERROR_REASON_UNAVAILABLE, retryable=True
                    )
                ],
            )
        ),
    ],
)
async def test_what_is_not_committed_is_503(
    client: httpx.AsyncClient, script: Script, answer: Any
) -> None:
    script.answers["WriteBatch"] = answer
    response = await client.post("/api/v1/metrics", json=CPU)
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) >= 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "JSON_BROKEN"),
        ("{", "JSON_BROKEN"),
        ('{"metric_name": NaN}', "JSON_BROKEN"),
        ("[]", "SAMPLES_EMPTY"),
        ("3", "INVALID_FIELD"),
        ("{}", "SAMPLES_REFUSED"),
        ('{"metric_name": "a", "metric_value": 1e999}', "SAMPLES_REFUSED"),
        ('{"metric_name": "a", "metric_value": "\\ud800"}', "JSON_BROKEN"),
    ],
)
async def test_broken_bodies_are_400(client: httpx.AsyncClient, body: str, reason: str) -> None:
    response = await client.post(
        "/api/v1/metrics", content=body, headers={"Content-Type": "application/json"}
    )
    assert (response.status_code, reason_of(response)) == (400, reason)


async def test_only_bad_samples_are_400_with_their_index(client: httpx.AsyncClient) -> None:
    response = await client.post("/api/v1/metrics", json=[{"metric_name": 1}, {}])
    assert fields_of(response) == ["samples[0]", "samples[1]"]


async def test_an_idempotency_key_of_no_use_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.post(
        "/api/v1/metrics", json=CPU, headers={"Idempotency-Key": "k" * 256}
    )
    assert (response.status_code, reason_of(response)) == (400, "INVALID_IDEMPOTENCY_KEY")
