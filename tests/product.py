"""The started product, and what a user does with it: write samples, post alerts, read answers."""

import asyncio
import os
import signal
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import grpc
import httpx

from cli.processes.child import Event
from cli.product.directory import DataDirectory
from cli.product.product import Product
from mesh.auth import TokenMinter
from sensus.core.v1 import series_pb2
from sensus.detector.v1 import detector_service_pb2 as detector_pb2
from sensus.detector.v1 import detector_service_pb2_grpc as detector_grpc
from sensus.explainer.v1 import explainer_service_pb2_grpc as explainer_grpc
from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb2
from sensus.ingest.v1 import ingest_service_pb2_grpc as ingest_grpc
from tests.channels import patient_channel
from tests.ports import free_ports

T = TypeVar("T")

UNLIMITED = {
    **{f"SENSUS_RATE_{kind}": "1000000" for kind in ("ALERTS", "ANALYSIS", "TELEMETRY", "OTHER")},
    "SENSUS_INGEST_MAX_CALLER_SAMPLES_PER_S": "1000000000",
}
"""Settings under which a test may ask as often as it wants."""


@dataclass(slots=True, kw_only=True)
class Door:
    """Every way into a running product."""

    product: Product
    events: list[Event]
    http: httpx.AsyncClient
    ingest: "ingest_grpc.IngestServiceAsyncStub"
    detector: "detector_grpc.DetectorServiceAsyncStub"
    explainer: "explainer_grpc.ExplainerServiceAsyncStub"
    sequences: dict[str, int] = field(default_factory=dict)

    def process_id(self, name: str) -> int:
        """The process that is `name` now."""
        return next(child.pid for child in self.product.children if child.name == name)

    async def kill(self, name: str) -> None:
        """Kills the process that is `name`: of one that was killed before, its successor."""

        async def killed() -> bool | None:
            process_id = self.process_id(name)
            if process_id is None:
                return None
            try:
                os.kill(process_id, signal.SIGKILL)
            except ProcessLookupError:
                return None
            return True

        await eventually(killed, what=f"a process of {name}")

    async def write(
        self, producer_id: str, samples: Mapping[str, Sequence[tuple[int, float]]]
    ) -> ingest_pb2.WriteAck:
        """Writes one batch, plain form, and returns its ack. Keys are metric names."""
        sequence = self.sequences[producer_id] = self.sequences.get(producer_id, 0) + 1
        request = ingest_pb2.WriteBatchRequest(
            producer_id=producer_id,
            batch=ingest_pb2.SampleBatch(
                sequence=sequence,
                series=[time_series({"__name__": name}, rows) for name, rows in samples.items()],
            ),
        )
        return (await self.ingest.WriteBatch(request)).ack

    async def status(self) -> detector_pb2.GetDetectorStatusResponse:
        """The detector's own word on what it does."""
        return await self.detector.GetDetectorStatus(detector_pb2.GetDetectorStatusRequest())


@asynccontextmanager
async def started(
    data_dir: Path, *, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Door]:
    """Starts the product as `sensus up` does, on free ports, and opens every door as an admin."""
    events: list[Event] = []
    product = Product(
        directory=DataDirectory(data_dir),
        ports=free_ports(),
        tell=events.append,
        settings=settings or {},
    )
    async with product:
        minter = TokenMinter.from_file(product.directory.keys / "gateway.pem", "gateway")

        def token() -> str:
            return minter.mint("user:test", ["admin"], 3600)

        run = product.run
        async with (
            patient_channel(run.ingest_target, service=INGEST, tokens=token) as to_ingest,
            patient_channel(run.detector_target, service=DETECTOR, tokens=token) as to_detector,
            patient_channel(run.explainer_target, service=EXPLAINER, tokens=token) as to_explainer,
            httpx.AsyncClient(
                base_url=run.gateway_url,
                headers={"Authorization": f"Bearer {token()}"},
                trust_env=False,
                timeout=60,
            ) as http,
        ):
            yield Door(
                product=product,
                events=events,
                http=http,
                ingest=ingest_grpc.IngestServiceStub(to_ingest),
                detector=detector_grpc.DetectorServiceStub(to_detector),
                explainer=explainer_grpc.ExplainerServiceStub(to_explainer),
            )


INGEST = "sensus.ingest.v1.IngestService"
DETECTOR = "sensus.detector.v1.DetectorService"
EXPLAINER = "sensus.explainer.v1.ExplainerService"


def time_series(
    labels: Mapping[str, str], rows: Sequence[tuple[int, float]]
) -> ingest_pb2.TimeSeries:
    """The plain form of one series."""
    return ingest_pb2.TimeSeries(
        labels=[series_pb2.Label(name=name, value=value) for name, value in labels.items()],
        samples=[ingest_pb2.Sample(timestamp_ms=at, value=value) for at, value in rows],
    )


def columns(
    refs: Sequence[int], timestamps_ms: Sequence[int], values: Sequence[float]
) -> ingest_pb2.SampleColumns:
    """The fastest form of the same."""
    count = len(refs)
    return ingest_pb2.SampleColumns(
        series_refs=struct.pack(f"<{count}I", *refs),
        timestamps_ms=struct.pack(f"<{count}q", *timestamps_ms),
        values=struct.pack(f"<{count}d", *values),
    )


def webhook(name: str, *, status: str = "firing", starts_at: str, **labels: str) -> dict[str, Any]:
    """What Alertmanager posts (webhook version 4) for a group of one alert."""
    all_labels = {"alertname": name, **labels}
    ended = "0001-01-01T00:00:00Z" if status == "firing" else starts_at.replace("Z", ".5Z")
    return {
        "version": "4",
        "groupKey": f'{{}}:{{alertname="{name}"}}',
        "truncatedAlerts": 0,
        "status": status,
        "receiver": "sensus",
        "groupLabels": {"alertname": name},
        "commonLabels": all_labels,
        "commonAnnotations": {"summary": f"{name} is firing"},
        "externalURL": "http://alertmanager.example:9093",
        "alerts": [
            {
                "status": status,
                "labels": all_labels,
                "annotations": {"summary": f"{name} is firing"},
                "startsAt": starts_at,
                "endsAt": ended,
                "generatorURL": "http://prometheus.example:9090/graph",
                "fingerprint": "0000000000000000",
            }
        ],
    }


async def eventually(
    question: Callable[[], Awaitable[T | None]], *, within_s: float = 300.0, what: str = "it"
) -> T:
    """Asks until there is an answer; fails, naming `what`, when there is none in time."""
    deadline_s = time.monotonic() + within_s
    last: BaseException | None = None
    while time.monotonic() < deadline_s:
        try:
            if (answer := await question()) is not None:
                return answer
        except (grpc.aio.AioRpcError, httpx.HTTPError) as error:
            last = error
        await asyncio.sleep(0.2)
    raise AssertionError(f"{what} did not come within {within_s:g} s (last error: {last!r})")
