"""What the demonstration does, step by step, with words as it happens."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import grpc
from rich.console import Console

from cli.clients.connection import DETECTOR, EXPLAINER, INCIDENTS, INGEST, NOTIFIER, connect
from cli.clients.explaining import explain
from cli.clients.sending import sending_to
from cli.clients.watching import Anomaly, AnomalyWatch, detector_status, is_scoring
from cli.demo.load import cpu_load
from cli.demo.machine import BURNER, Machine
from cli.demo.notice import incident_of, received_about, route_to
from cli.demo.receivers import Receivers, receivers
from cli.demo.webhook import find_alert, high_cpu, log_in, send_alert
from cli.problem import Problem
from cli.product.environment import SERVICES
from cli.product.product import Product
from cli.render.incidents import show_incident
from cli.render.reports import show_anomaly, show_explanation, show_stage
from mesh.errors import SensusError
from sensus_client import OpenSender

SAMPLES_PER_S = 5
_QUIET_S = 5.0
_DETECTION_TIMEOUT_S = 30.0
_LOAD_BEFORE_ALERT_S = 8.0
_WARM_UP_LINE_EVERY_S = 5.0
_ANOMALIES_SHOWN = 8
_EVIDENCE_SHOWN = 10


@dataclass(slots=True, kw_only=True)
class Demo:
    """One run. Every step raises Problem when what it shows does not come true."""

    console: Console
    product: Product
    machine: Machine = field(init=False)
    load_began: datetime | None = None
    _anomalies: int = 0
    _detected: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """From the first sample to the notice."""
        children = self.product.children
        pids = {child.name: child.pid for child in children if child.name in SERVICES and child.pid}
        self.machine = Machine(pids)
        async with AsyncExitStack() as stack:
            ingest, detector, explainer, incidents, notifier = [
                await stack.enter_async_context(connect(self.product.directory, service))
                for service in (INGEST, DETECTOR, EXPLAINER, INCIDENTS, NOTIFIER)
            ]
            people = await stack.enter_async_context(receivers())
            await route_to(notifier, people)
            await stack.enter_async_context(self._background(detector))
            await self._warm_up(detector)
            async with cpu_load(self.product.directory.logs / "load.log") as burners:
                began = await self._load(burners)
                trace_id = await self._alert(began)
                alert_id = await find_alert(ingest, '{alertname="HighCpuUsage"}')
                await self._explain(explainer, alert_id, trace_id)
                await self._notice(incidents, people, alert_id, trace_id)

    @asynccontextmanager
    async def _background(self, detector: grpc.aio.Channel) -> AsyncIterator[None]:
        """Streams the metrics and tells anomalies as long as it is entered."""
        watch = AnomalyWatch(channel=detector, tell=self._anomaly)
        producer_id = f"demo/{uuid.uuid4().hex}"
        try:
            async with (
                sending_to(self.product.directory, producer_id) as sender,
                asyncio.TaskGroup() as group,
            ):
                tasks = [group.create_task(work) for work in (self._stream(sender), watch.run())]
                yield
                for task in tasks:
                    task.cancel()
        except* (Problem, SensusError) as errors:
            raise errors.exceptions[0] from None

    async def _stream(self, sender: OpenSender) -> None:
        samples = self.machine.read()
        self._say(
            f"streaming {len(samples)} series of this machine, {SAMPLES_PER_S} times a second"
        )
        due_s = time.monotonic()
        while True:
            await sender.send(self.machine.read())
            due_s = max(due_s + 1 / SAMPLES_PER_S, time.monotonic())
            await asyncio.sleep(due_s - time.monotonic())

    async def _warm_up(self, detector: grpc.aio.Channel) -> None:
        told_s = 0.0
        while not is_scoring(status := await detector_status(detector)):
            if time.monotonic() - told_s > _WARM_UP_LINE_EVERY_S:
                told_s = time.monotonic()
                done, needed = status.warmup_samples, status.warmup_samples_needed
                self._say(f"the detector is warming up: {done:,} samples of at least {needed:,}")
            await asyncio.sleep(0.5)
        self._say(
            f"the detector scores with model {status.model_version}; "
            f"{status.warm_series_count} of {status.series_count} series are warm"
        )
        await asyncio.sleep(_QUIET_S)

    async def _load(self, pids: list[int]) -> datetime:
        began = self.load_began = datetime.now(UTC)
        self.machine.watch(pids)
        self._say(f"loading all {len(pids)} cores for real; the detector is told nothing of it")
        try:
            await asyncio.wait_for(self._detected.wait(), _DETECTION_TIMEOUT_S)
        except TimeoutError:
            what = "no anomaly of the CPU was detected"
            raise Problem(f"{what} within {_DETECTION_TIMEOUT_S:g} s") from None
        self._say("it was detected; the alert follows, as Prometheus would raise it after a while")
        running_s = (datetime.now(UTC) - began).total_seconds()
        await asyncio.sleep(max(0.0, _LOAD_BEFORE_ALERT_S - running_s))
        return began

    async def _alert(self, began: datetime) -> str:
        if (unseen := self._anomalies - _ANOMALIES_SHOWN) > 0:
            self._say(f"and {unseen} more anomalies on this loaded machine")
        url = self.product.run.gateway_url
        token = await log_in(url, self.product.admin_password)
        trace_id = await send_alert(url, token, high_cpu(began, self.machine.cpu_percent))
        self._say(f"sent HighCpuUsage to {url}/api/v1/alerts as Alertmanager does")
        self._say(f"its trace is {trace_id}")
        return trace_id

    async def _explain(self, explainer: grpc.aio.Channel, alert_id: str, trace_id: str) -> None:
        self._say(f"explaining alert {alert_id}")
        async for frame in explain(explainer, alert_id):
            if frame.HasField("stage"):
                show_stage(self.console, frame.stage)
            if frame.HasField("result"):
                show_explanation(self.console, frame.result, evidence_at_most=_EVIDENCE_SHOWN)
                _check(frame.result.trace_id, trace_id, len(frame.result.suspects))

    async def _notice(
        self, incidents: grpc.aio.Channel, people: Receivers, alert_id: str, trace_id: str
    ) -> None:
        answer = await incident_of(incidents, alert_id)
        incident = answer.incident
        self._say(f"the alert is in incident {incident.incident_id}")
        show_incident(self.console, answer)
        post, subject = await received_about(people, incident.incident_id)
        self._say(f"a mail server of this demonstration got: {subject}")
        self._say(f"a web server got: {post['title']} (notice {post['notice_id']})")
        if trace_id in post["incident"]["traceparent"]:
            self._say("one trace leads from the alert to both")
        else:
            self._say("the incident was opened before the alert, so its trace is another")

    def _anomaly(self, anomaly: Anomaly) -> None:
        if self.load_began is None:
            return
        labels = {label.name: label.value for label in anomaly.labels}
        is_new = anomaly.event_time.ToMilliseconds() >= self.load_began.timestamp() * 1000
        if is_new and (
            labels.get("service") == BURNER or labels["__name__"].startswith("node_cpu")
        ):
            self._detected.set()
        self._anomalies += 1
        if self._anomalies <= _ANOMALIES_SHOWN:
            show_anomaly(self.console, anomaly)

    def _say(self, text: str) -> None:
        self.console.print(f"[bold cyan]»[/] {text}")


def _check(trace_id: str, expected: str, suspects: int) -> None:
    if not suspects:
        raise Problem("the explanation names no suspect")
    if trace_id != expected:
        raise Problem(f"the explanation has trace {trace_id}, the webhook had {expected}")
