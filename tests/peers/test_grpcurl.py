"""An engineer with grpcurl: reflection lists, describes and calls."""

import asyncio
import json

import pytest

from cli.product.tokens import user_token
from tests.peers.conftest import program
from tests.product import DETECTOR, EXPLAINER, INGEST, Door

pytestmark = [pytest.mark.peers, pytest.mark.timeout(60)]


async def grpcurl(*arguments: str) -> tuple[int, str]:
    """Exit status and output of one call."""
    process = await asyncio.create_subprocess_exec(
        program("grpcurl"),
        "-plaintext",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_reflection_lists_every_service(door: Door) -> None:
    run = door.product.run
    for target, service in (
        (run.ingest_target, INGEST),
        (run.detector_target, DETECTOR),
        (run.explainer_target, EXPLAINER),
    ):
        status, listed = await grpcurl(target, "list")
        assert status == 0, listed
        assert {service, "grpc.health.v1.Health"} <= set(listed.split())


async def test_every_method_is_described(door: Door) -> None:
    run = door.product.run
    for target, method in (
        (run.ingest_target, f"{INGEST}.WriteSamples"),
        (run.detector_target, f"{DETECTOR}.Score"),
        (run.explainer_target, f"{EXPLAINER}.Explain"),
        (run.ingest_target, "grpc.reflection.v1.ServerReflection.ServerReflectionInfo"),
    ):
        status, described = await grpcurl(target, "describe", method)
        assert status == 0, described
        assert f"{method} is a method" in described


async def test_samples_written_by_hand_are_listed_as_a_series(door: Door) -> None:
    target = door.product.run.ingest_target
    token = f"authorization: Bearer {user_token(door.product.directory)}"
    batch = {
        "producerId": "grpcurl",
        "batch": {
            "sequence": "1",
            "series": [
                {
                    "labels": [
                        {"name": "__name__", "value": "by_hand"},
                        {"name": "host", "value": "a"},
                    ],
                    "samples": [{"timestampMs": "1700000000000", "value": 1.5}],
                }
            ],
        },
    }
    recent = json.dumps(batch).replace("1700000000000", str(_now_ms()))
    status, answer = await grpcurl("-H", token, "-d", recent, target, f"{INGEST}/WriteBatch")
    assert status == 0, answer
    assert json.loads(answer)["ack"] == {"sequence": "1", "accepted": 1}

    asked = json.dumps({"selector": 'by_hand{host="a"}'})
    status, answer = await grpcurl("-H", token, "-d", asked, target, f"{INGEST}/ListSeries")
    assert status == 0, answer
    assert len(json.loads(answer)["series"]) == 1


async def test_call_without_a_token_is_refused_with_a_reason(door: Door) -> None:
    status, answer = await grpcurl(
        "-d", "{}", door.product.run.detector_target, f"{DETECTOR}/GetDetectorStatus"
    )
    assert status == 64 + 16, answer
    assert "Unauthenticated" in answer
    assert "TOKEN_MISSING" in answer


async def test_health_answers_without_a_token(door: Door) -> None:
    status, answer = await grpcurl(
        "-d",
        '{"service": "readiness"}',
        door.product.run.ingest_target,
        "grpc.health.v1.Health/Check",
    )
    assert status == 0, answer
    assert json.loads(answer) == {"status": "SERVING"}


def _now_ms() -> int:
    import time

    return int(time.time() * 1000)
