"""How many like alerts a second are explained, and how soon a critical one among thousands.

The whole product runs on embedded stores, without a language model. A storm of warnings of one name
is written, a thousand a request, then one critical alert. Once every host that alerts has a series
of its own, which jumps; once none has. Rates are from the begin of the first explanation to the end
of the last; the critical alert is timed from its write to its stored explanation. On a busy machine
the CPU time that one explanation takes tells more than the rate.

    make bench-explain-storm   or   python -m bench.explain_storm [--alerts 3000] [--others 20]
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from sensus.core.v1 import alert_pb2, series_pb2
from sensus.explainer.v1 import explainer_service_pb2 as explainer_pb
from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb2
from tests.product import Door, started, time_series

STEP_MS, STEPS = 60_000, 60
ALERTS_PER_CALL = 1000
RATE_MIN, CRITICAL_MAX_S = 50.0, 5.0
RULE = "http://prometheus:9090/graph?g0.expr=cpu_usage+%3E+80"


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """How one fared."""

    name: str
    per_s: float
    critical_s: float
    named: float
    cpu_ms: dict[str, float]


async def main() -> None:
    """Measures both storms and prints the table; fails below the limits."""
    options = parsed()
    found = [
        await storm("no series", options, with_series=False),
        await storm("a series each", options, with_series=True),
    ]
    show(options, found)
    if any(each.per_s < RATE_MIN or each.critical_s > CRITICAL_MAX_S for each in found):
        sys.exit("below the limits")


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--alerts", type=int, default=3000)
    parser.add_argument("--others", type=int, default=20, help="calm series beside")
    return parser.parse_args()


async def storm(name: str, options: argparse.Namespace, *, with_series: bool) -> Storm:
    """One storm on a fresh product."""
    async with product() as door:
        now_ms = int(time.time() * 1000)
        await fill(door, options.alerts if with_series else 0, options.others, now_ms)
        before = cpu_ms(door)
        for first in range(0, options.alerts, ALERTS_PER_CALL):
            numbers = range(first, min(first + ALERTS_PER_CALL, options.alerts))
            alerts = [alert("NodeDown", "warning", now_ms, host=f"host-{n}") for n in numbers]
            request = ingest_pb2.WriteAlertsRequest(alerts=alerts)
            await door.ingest.WriteAlerts(request, timeout=60)
        critical_s = await explained(door, alert("PaymentsDown", "critical", now_ms))
        every = await finished(door, options.alerts)
        used = {who: (ms - before[who]) / len(every) for who, ms in cpu_ms(door).items()}
    took_s = (
        max(map(finish_s, every)) - min(each.create_time.ToNanoseconds() for each in every) / 1e9
    )
    named = [each.verdict == explainer_pb.VERDICT_EXPLAINED for each in every]
    return Storm(
        name=name,
        per_s=len(every) / took_s,
        critical_s=critical_s,
        named=float(np.mean(named)),
        cpu_ms=used,
    )


def cpu_ms(door: Door) -> dict[str, float]:
    """CPU time that each process of interest has taken; of PostgreSQL those that live."""
    names = ("explainer", "ingest", "detector")
    found = {name: _cpu_ms(psutil.Process(door.process_id(name))) for name in names}
    stores = psutil.Process().children(recursive=True)
    found["postgres"] = sum(_cpu_ms(each) for each in stores if each.name() == "postgres")
    return found


def _cpu_ms(process: psutil.Process) -> float:
    times = process.cpu_times()
    return 1000 * (times.user + times.system)


@asynccontextmanager
async def product() -> AsyncIterator[Door]:
    """A fresh one in a temporary directory."""
    with tempfile.TemporaryDirectory(prefix="sensus-bench-") as directory:
        async with started(Path(directory) / "data") as door:
            yield door


async def fill(door: Door, hosts: int, others: int, now_ms: int) -> None:
    """Writes an hour of all series; those of the hosts jump three minutes before its end."""
    random = np.random.default_rng(7)
    named = [({"__name__": "cpu_usage", "host": f"host-{n}"}, True) for n in range(hosts)]
    named += [({"__name__": f"calm_{n}", "service": "shop"}, False) for n in range(others)]
    for sequence, start in enumerate(range(0, len(named), 100), start=1):
        series = [
            time_series(labels, rows(random, now_ms, jumps=jumps))
            for labels, jumps in named[start : start + 100]
        ]
        batch = ingest_pb2.SampleBatch(sequence=sequence, series=series)
        request = ingest_pb2.WriteBatchRequest(producer_id="bench", batch=batch)
        await door.ingest.WriteBatch(request, timeout=60)
    while (await door.status()).processed_samples < len(named) * STEPS:
        await asyncio.sleep(0.2)


def rows(random: np.random.Generator, now_ms: int, *, jumps: bool) -> list[tuple[int, float]]:
    """An hour of one series."""
    values = 40 + random.normal(0, 1, STEPS)
    values[-3:] += 50 * jumps
    first_ms = now_ms - STEPS * STEP_MS
    return [(first_ms + place * STEP_MS, float(value)) for place, value in enumerate(values)]


async def explained(door: Door, critical: alert_pb2.Alert) -> float:
    """Writes an alert and gives the seconds until its explanation was stored."""
    began_s = time.time()
    answer = await door.ingest.WriteAlerts(ingest_pb2.WriteAlertsRequest(alerts=[critical]))
    subject = explainer_pb.Subject(alert_id=answer.alert_ids[0])
    request = explainer_pb.ListExplanationsRequest(subject=subject)
    while True:
        found = (await door.explainer.ListExplanations(request)).explanations
        if found and found[0].state == explainer_pb.EXPLANATION_STATE_DONE:
            return finish_s(found[0]) - began_s
        await asyncio.sleep(0.1)


async def finished(door: Door, count: int) -> Sequence[explainer_pb.Explanation]:
    """All explanations of the storm, once they are stored."""
    while True:
        page, every, token = 1000, list[explainer_pb.Explanation](), ""
        while token or not every:
            answer = await door.explainer.ListExplanations(
                explainer_pb.ListExplanationsRequest(page_size=page, page_token=token)
            )
            every += answer.explanations
            token = answer.next_page_token
            if not token:
                break
        done = [each for each in every if each.state == explainer_pb.EXPLANATION_STATE_DONE]
        if len(done) > count:
            return done
        await asyncio.sleep(5)


def finish_s(explanation: explainer_pb.Explanation) -> float:
    """When it was stored, in Unix seconds."""
    return explanation.finish_time.ToNanoseconds() / 1e9


def alert(name: str, severity: str, now_ms: int, **more: str) -> alert_pb2.Alert:
    """One that fires since now."""
    labels = {"alertname": name, "severity": severity, **more}
    found = alert_pb2.Alert(
        labels=[series_pb2.Label(name=name, value=labels[name]) for name in sorted(labels)],
        state=alert_pb2.ALERT_STATE_FIRING,
        generator_url=RULE,
    )
    found.start_time.FromMilliseconds(now_ms)
    return found


def show(options: argparse.Namespace, found: Sequence[Storm]) -> None:
    """Prints one table."""
    table = Table(title=f"{options.alerts} like warnings, then one critical alert")
    for column in (
        "hosts have",
        "explained per s",
        "critical after s",
        "a cause is named",
        "CPU ms each",
    ):
        table.add_column(column, justify="left" if column == "hosts have" else "right")
    for each in found:
        cpu = ", ".join(f"{who} {ms:.0f}" for who, ms in each.cpu_ms.items())
        figures = (f"{each.per_s:.0f}", f"{each.critical_s:.2f}", f"{each.named:.0%}", cpu)
        table.add_row(each.name, *figures)
    console = Console()
    console.print(table)
    console.print(f"goal: at least {RATE_MIN:g} per s, critical within {CRITICAL_MAX_S:g} s")


if __name__ == "__main__":
    asyncio.run(main())
