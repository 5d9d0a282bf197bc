"""Beside the real ingest: samples and alerts are written by its door, explanations come unasked."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mesh.auth import TokenMinter
from mesh.clients import open_channel
from sensus.core.v1 import alert_pb2
from sensus.explainer.v1 import explainer_service_pb2 as pb
from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb
from sensus.ingest.v1 import ingest_service_pb2_grpc as ingest_grpc
from services.explainer.wiring import INGEST
from tests.conftest import REPOSITORY
from tests.explainer.conftest import Running, Start
from tests.explainer.peers import labels
from tests.explainer.test_consumer import working
from tests.ports import free_port

STEP_MS = 15_000


@pytest.fixture
async def real_ingest(fresh_dsn: str, redis_url: str, explainer_keys: Path) -> AsyncIterator[str]:
    """The ingest process on the database of the test; its address."""
    port = free_port()
    environment = os.environ | {
        "SENSUS_POSTGRES_DSN": fresh_dsn,
        "SENSUS_REDIS_URL": redis_url,
        "SENSUS_INGEST_GRPC_PORT": str(port),
        "SENSUS_INGEST_METRICS_PORT": "0",
        "SENSUS_GATEWAY_TARGET": "off",
        "SENSUS_AUTH_JWKS_FILE": str(explainer_keys / "jwks.json"),
        "SENSUS_AUTH_KEY_FILE": str(explainer_keys / "ingest.pem"),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.ingest", cwd=REPOSITORY, env=environment,
    )  # fmt: skip
    try:
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def writer(target: str, keys: Path) -> AsyncIterator["ingest_grpc.IngestServiceAsyncStub"]:
    """A client that may write, once ingest serves."""
    minter = TokenMinter.from_file(keys / "gateway.pem", "gateway")
    token = minter.mint("user:writer", ["write:samples", "write:alerts"], 600)
    async with open_channel(
        target, service=INGEST, tokens=lambda: token, caller="test", default_timeout_s=120
    ) as channel:
        await asyncio.wait_for(channel.channel_ready(), 60)
        yield ingest_grpc.IngestServiceStub(channel)


def rows(now_ms: int, *, level: float, to: float) -> list[tuple[int, float]]:
    """An hour of a series that changes its level two minutes before the end."""
    times = range(now_ms - 3_600_000, now_ms, STEP_MS)
    return [
        (at, (to if at > now_ms - 120_000 else level) + place % 3 * 0.1)
        for place, at in enumerate(times)
    ]


def batch(
    series: Mapping[str, Sequence[tuple[int, float]]], **named: str
) -> ingest_pb.WriteBatchRequest:
    """Series by metric name, all with the same labels."""
    return ingest_pb.WriteBatchRequest(
        producer_id="test",
        batch=ingest_pb.SampleBatch(
            sequence=1,
            series=[
                ingest_pb.TimeSeries(
                    labels=labels({"__name__": metric, **named}),
                    samples=[ingest_pb.Sample(timestamp_ms=at, value=v) for at, v in samples],
                )
                for metric, samples in series.items()
            ],
        ),
    )


def firing(now_ms: int, **named: str) -> alert_pb2.Alert:
    """An alert that fires now."""
    found = alert_pb2.Alert(
        labels=labels({"alertname": "HighCPU", "severity": "critical", **named}),
        state=alert_pb2.ALERT_STATE_FIRING,
    )
    found.start_time.FromMilliseconds(now_ms)
    return found


async def explained(running: Running) -> list[pb.Explanation]:
    """All finished explanations, once there is one."""
    async with asyncio.timeout(120):
        while True:
            request = pb.ListExplanationsRequest(state=pb.EXPLANATION_STATE_DONE)
            answer = await running.stub.ListExplanations(request)
            if answer.explanations:
                return list(answer.explanations)
            await asyncio.sleep(0.1)


async def test_alert_written_to_ingest_is_explained_once_from_its_samples(
    start: Start, real_ingest: str, explainer_keys: Path
) -> None:
    now_ms = int(time.time() * 1000)
    explainer = await start(ingest_target=real_ingest)
    async with writer(real_ingest, explainer_keys) as ingest:
        written = await ingest.WriteBatch(
            batch(
                {
                    "cpu_usage": rows(now_ms, level=20.0, to=90.0),
                    "disk_usage": rows(now_ms, level=40.0, to=40.0),
                },
                host="web-1",
            )
        )
        assert written.ack.rejected == 0
        async with working(explainer, "alerts"):
            for _ in range(3):
                change = firing(now_ms, host="web-1")
                answer = await ingest.WriteAlerts(ingest_pb.WriteAlertsRequest(alerts=[change]))
            found = await explained(explainer)
            await asyncio.sleep(0.5)
            assert len(await explained(explainer)) == 1
    (explanation,) = found
    assert explanation.subject == pb.Subject(alert_id=answer.alert_ids[0])
    assert explanation.verdict == pb.VERDICT_EXPLAINED
    assert explanation.suspects[0].entity == 'cpu_usage{host="web-1"}'
    assert "cpu_usage rose from 20.1 to 90.1," in explanation.root_cause
    whole = await explainer.stub.GetExplanation(
        pb.GetExplanationRequest(explanation_id=explanation.explanation_id)
    )
    gone = [e for e in whole.explanation.evidence if e.kind == pb.EVIDENCE_KIND_MISSING]
    assert [each.title.partition(",")[0] for each in gone] == ["never sent"]
    kinds = [piece.kind for piece in whole.explanation.evidence]
    assert kinds[:2] == [pb.EVIDENCE_KIND_ALERT, pb.EVIDENCE_KIND_SUBJECT_SERIES]


async def test_alert_that_ingest_does_not_know_is_not_found(
    start: Start, real_ingest: str, explainer_keys: Path
) -> None:
    explainer = await start(ingest_target=real_ingest)
    async with writer(real_ingest, explainer_keys):
        request = pb.ExplainRequest(subject=pb.Subject(alert_id="0123456789abcdef-1"))
        with pytest.raises(Exception, match="no alert '0123456789abcdef-1': check the id"):
            await explainer.stub.Explain(request).read()
