"""How soon an alert is explained without a language model, with many series in the store.

The whole product runs on embedded stores. An hour of samples of all series is written and scored
first; then alerts are written one after the other, and each one is followed from the write to its
first evidence and to its result. Two of the twenty metrics of each alerting host jump before it.
Then another
explainer, in this process and on the same stores, explains some more; every step of its event loop
is measured. Steps count CPU time; the rest says little on a busy machine.

    make bench-explain-latency   or   python -m bench.explain_latency [--series 10000]
"""

import argparse
import asyncio
import gc
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console
from rich.table import Table

from bench.loop_steps import Steps, measured
from mesh import config as settings
from mesh.clients import closing
from mesh.clock import SystemClock
from sensus.core.v1 import alert_pb2, series_pb2
from sensus.explainer.v1 import explainer_service_pb2 as explainer_pb
from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb2
from services.explainer.clients.ingest import alert_facts
from services.explainer.config import Config
from services.explainer.wiring import SERVICE, assemble
from tests.product import Door, started, time_series

METRICS = 20
STEP_MS = 60_000
STEPS = 60
COLD = 5
"""Alerts that are not counted: the first ones open connections and fill caches."""
SERIES_PER_BATCH = 100
FIRST_EVIDENCE_MAX_S, RESULT_P99_MAX_S = 0.2, 1.0
STEP_MAX_S = 0.05
STEPS_OF = 20
"""Alerts explained while the steps of the loop are measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """How one alert fared, in seconds from its write."""

    first_evidence_s: float
    result_s: float
    named: bool


async def main() -> None:
    """Measures and prints the table; fails above the limits."""
    options = parsed()
    alerting = options.alerts + COLD + STEPS_OF
    with tempfile.TemporaryDirectory(prefix="sensus-bench-") as directory:
        async with started(Path(directory) / "data") as door:
            now_ms = int(time.time() * 1000)
            await fill(door, options.series // METRICS, alerting, now_ms)
            every = [await explain(door, number, now_ms) for number in range(alerting - STEPS_OF)]
            steps = await measured_steps(door, range(alerting - STEPS_OF, alerting), now_ms)
    counted = every[COLD:]
    show(options, counted)
    print(
        f"of {len(steps.taken_s)} steps of the event loop {steps.late(STEP_MAX_S)} computed longer "
        f"than {STEP_MAX_S:g} s; the longest {steps.longest_s:.3f} s, in {steps.longest}"
    )
    first_s = float(np.percentile([each.first_evidence_s for each in counted], 99))
    result_s = float(np.percentile([each.result_s for each in counted], 99))
    slow = result_s > RESULT_P99_MAX_S or first_s > FIRST_EVIDENCE_MAX_S
    if slow or steps.longest_s > STEP_MAX_S:
        sys.exit("above the limits")


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--alerts", type=int, default=100)
    return parser.parse_args()


async def fill(door: Door, hosts: int, alerting: int, now_ms: int) -> None:
    """Writes an hour of all series and returns when the detector has scored it."""
    random = np.random.default_rng(7)
    series = [
        ({"__name__": f"metric_{metric}_usage", "host": f"host-{host}"}, host < alerting)
        for host in range(hosts)
        for metric in range(METRICS)
    ]
    for sequence, start in enumerate(range(0, len(series), SERIES_PER_BATCH), start=1):
        part = series[start : start + SERIES_PER_BATCH]
        batch = ingest_pb2.SampleBatch(
            sequence=sequence,
            series=[
                time_series(labels, rows(random, now_ms, jumps=jumps and place % METRICS < 2))
                for place, (labels, jumps) in enumerate(part, start=start)
            ],
        )
        request = ingest_pb2.WriteBatchRequest(producer_id="bench", batch=batch)
        await door.ingest.WriteBatch(request, timeout=60)
    while (await door.status()).processed_samples < len(series) * STEPS:
        await asyncio.sleep(0.2)


def rows(random: np.random.Generator, now_ms: int, *, jumps: bool) -> list[tuple[int, float]]:
    """An hour of one series; one that jumps does so three minutes before the end."""
    values = 40 + random.normal(0, 1, STEPS)
    if jumps:
        values[-3:] += 50
    first_ms = now_ms - STEPS * STEP_MS
    return [(first_ms + place * STEP_MS, float(value)) for place, value in enumerate(values)]


async def explain(door: Door, number: int, now_ms: int) -> Explained:
    """Writes an alert and follows its explanation."""
    began_s, first_s = time.perf_counter(), 0.0
    request = ingest_pb2.WriteAlertsRequest(alerts=[alert(number, now_ms)])
    answer = await door.ingest.WriteAlerts(request)
    subject = explainer_pb.Subject(alert_id=answer.alert_ids[0])
    async with closing(
        door.explainer.Explain(explainer_pb.ExplainRequest(subject=subject))
    ) as call:
        async for frame in call:
            now_s = time.perf_counter() - began_s
            if frame.WhichOneof("frame") in ("evidence", "result") and not first_s:
                first_s = now_s
            if frame.HasField("result"):
                named = frame.result.verdict == explainer_pb.VERDICT_EXPLAINED
                return Explained(first_evidence_s=first_s, result_s=now_s, named=named)
    sys.exit("a stream ended without a result")


async def measured_steps(door: Door, numbers: Sequence[int], now_ms: int) -> Steps:
    """Explains alerts in this process, as the product's explainer does; the first is not counted.

    It has the settings of that one and takes no alert of its own accord.
    """
    environment = psutil.Process(door.process_id("explainer")).environ()
    own = {"SENSUS_EXPLAINER_GRPC_PORT": "0", "SENSUS_EXPLAINER_METRICS_PORT": "0"}
    config = settings.load(Config, environment | own, prefix=SERVICE)
    alerts = [alert(number, now_ms) for number in numbers]
    for number, each in enumerate(alerts):
        each.alert_id = f"in-bench-{number}"
    async with assemble(config, SystemClock()) as explainer:
        await explainer.jobs.explain(alert_facts(alerts[0]), parent="")
        gc.collect()  # as services do at their start
        gc.freeze()
        with measured() as steps:
            for each in alerts[1:]:
                await explainer.jobs.explain(alert_facts(each), parent="")
    return steps


def alert(number: int, now_ms: int) -> alert_pb2.Alert:
    """An alert of one host."""
    labels = {"alertname": "HighUsage", "severity": "critical", "host": f"host-{number}"}
    begun = Timestamp()
    begun.FromMilliseconds(now_ms)
    return alert_pb2.Alert(
        labels=[series_pb2.Label(name=name, value=value) for name, value in labels.items()],
        state=alert_pb2.ALERT_STATE_FIRING,
        start_time=begun,
    )


def show(options: argparse.Namespace, counted: Sequence[Explained]) -> None:
    """Prints one table."""
    table = Table(title=f"{options.alerts} alerts, {options.series} series, no language model")
    for column in ("from the write to", "p50 s", "p99 s", "limit s"):
        table.add_column(column, justify="right" if column.endswith("s") else "left")
    for name, values, limit_s in (
        ("first evidence", [m.first_evidence_s for m in counted], FIRST_EVIDENCE_MAX_S),
        ("result", [m.result_s for m in counted], RESULT_P99_MAX_S),
    ):
        p50, p99 = np.percentile(values, [50, 99])
        table.add_row(name, f"{p50:.3f}", f"{p99:.3f}", f"{limit_s:g} (p99)")
    console = Console()
    console.print(table)
    console.print(f"a cause was named for {sum(m.named for m in counted)} of {len(counted)}")


if __name__ == "__main__":
    asyncio.run(main())
