"""A log of anomalies that tests write, and what they read of it."""

import asyncio
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from mesh.errors import SensusError, from_rpc_error
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from services.detector.model.anomalies import (
    Contribution,
    EpisodeEnd,
    Finding,
    Kind,
    Severity,
    anomaly_id,
)
from services.detector.model.checkpoints import Changes, NewSeries
from services.detector.store import CheckpointStore
from tests.detector.signals import START_MS

if TYPE_CHECKING:
    from mesh.postgres import Pool


def a_finding(n: int, *, score: float = 0.9, **labels: str) -> Finding:
    """The n-th anomaly of a made series; one second lies between two."""
    event_ms = START_MS + n * 1000
    return Finding(
        anomaly_id=anomaly_id(1, event_ms, Kind.VALUE),
        series_id=1,
        labels={"__name__": "cpu", "number": str(n)} | labels,
        kind=Kind.VALUE,
        severity=Severity.of_score(score),
        event_ms=event_ms,
        value=float(n),
        raw_score=0.99,
        alert_score=score,
        expected_low=-1.0,
        expected_high=1.0,
        contributions=(
            Contribution(feature="change", value=1.5, share=-0.25),
            Contribution(feature="value", value=9.0, share=0.75),
        ),
        model_version=1,
        traceparent="",
    )


class Log:
    """Commits anomalies as a detector would, on a shard of its own."""

    def __init__(self, pool: "Pool") -> None:
        """Claims nothing yet."""
        self.store = CheckpointStore(pool)
        self.cursor = 0

    async def commit(self, *findings: Finding, ends: Sequence[EpisodeEnd] = ()) -> None:
        """Commits the findings in one checkpoint."""
        if not self.cursor:
            await self.store.claim(15, 1, "test")
        self.cursor += 1
        await self.store.commit(
            Changes(
                shard=15, epoch=1, from_cursor=self.cursor - 1, to_cursor=self.cursor,
                processed_samples=self.cursor, collected_samples=0, series_count=1,
                warm_series_count=0, new_series=[NewSeries(row_number=0, series_id=1, labels={})]
                if self.cursor == 1 else [], row_numbers=[], states=[], warm=[],
                findings=findings, ends=ends,
            )
        )  # fmt: skip


async def refused(call: Any) -> SensusError:
    """The error of a call, of a stream with its first frame."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await (call.read() if hasattr(call, "read") else call)
    return from_rpc_error(caught.value)


def watch(**request: Any) -> detector_pb.WatchAnomaliesRequest:
    return detector_pb.WatchAnomaliesRequest(**request)


async def frames(call: Any, count: int) -> list[detector_pb.WatchAnomaliesResponse]:
    """The next anomalies, heartbeats left out."""
    got: list[detector_pb.WatchAnomaliesResponse] = []
    async with asyncio.timeout(300):
        while len(got) < count:
            frame = await call.read()
            assert frame is not grpc.aio.EOF
            if frame.WhichOneof("frame") != "heartbeat":
                got.append(frame)
    return got


def numbers(got: list[detector_pb.WatchAnomaliesResponse]) -> list[int]:
    return [int(frame.anomaly.value) for frame in got]


def of_shop(n: int, *, score: float = 0.9, **changes: Any) -> Finding:
    own = {"series_id": n, "anomaly_id": f"{n:032}", "shared": ("service", "shop")}
    return dataclasses.replace(a_finding(n, score=score), **(own | changes))


async def listed(stub: Any, **request: Any) -> list[detector_pb.Anomaly]:
    return list((await stub.ListAnomalies(detector_pb.ListAnomaliesRequest(**request))).anomalies)
