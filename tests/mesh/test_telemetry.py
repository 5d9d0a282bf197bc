"""Telemetry of a process: logs, metrics, and traces at a real OTLP receiver."""

import asyncio
import io
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from mesh.telemetry import logs, span
from mesh.telemetry.process import measure_lag
from tests.ports import free_port

REPOSITORY = Path(__file__).resolve().parents[2]
CHILD = """
import asyncio, logging
from types import SimpleNamespace
from mesh.telemetry import setup, span
async def main():
    config = SimpleNamespace(log_level="INFO", log_format="json", listen_host="127.0.0.1",
                             metrics_port={port}, trace_sample_ratio=0.0)
    async with setup("echo", config):
        with span("alert", always_sample=True), span("below"):
            logging.getLogger("test").info("inside", extra={{"alert_id": "a1"}})
        with span("points"):
            pass
        print("ready", flush=True)
        await asyncio.to_thread(input)
asyncio.run(main())
"""


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """An OTLP receiver that keeps what it gets."""

    def __init__(self) -> None:
        self.spans: dict[str, str] = {}

    async def Export(self, request: Any, context: Any) -> Any:
        """Takes a batch of spans."""
        for resource in request.resource_spans:
            names = {a.key: a.value.string_value for a in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans |= {each.name: names["service.name"] for each in scope.spans}
        return trace_service_pb2.ExportTraceServiceResponse()


def formatted(form: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a process in that format writes for one record."""
    stream = io.StringIO()
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", list(root.handlers))
    level = root.level
    monkeypatch.setattr(sys, "stderr", stream)
    held, root.handlers = root.handlers, []
    try:
        logs.configure_logs("echo", "INFO", form)
        with span("outer"):
            try:
                raise ValueError("boom")
            except ValueError:
                logging.getLogger("test").exception("it broke", extra={"alert_id": "a1"})
        logging.getLogger("test").debug("not shown")
        with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200))) as client:
            client.post("https://hooks.example/a-secret-path")  # nor this, which httpx tells
    finally:
        root.handlers = held
        root.setLevel(level)
    return stream.getvalue()


def test_log_line_is_one_json_object_with_its_trace(
    monkeypatch: pytest.MonkeyPatch, exporter: object
) -> None:
    lines = formatted("json", monkeypatch).splitlines()
    assert len(lines) == 1
    line = json.loads(lines[0])
    assert (line["level"], line["logger"], line["message"]) == ("ERROR", "test", "it broke")
    assert (line["service"], line["alert_id"]) == ("echo", "a1")
    assert len(line["trace_id"]) == 32
    assert len(line["span_id"]) == 16
    assert "ValueError: boom" in line["exc_info"]
    assert line["timestamp"][10] == "T"


def test_console_line_shows_extras_before_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, *_ = formatted("console", monkeypatch).splitlines()
    assert "ERROR   echo test: it broke  alert_id=a1" in first
    assert second.startswith("Traceback")


async def test_process_exports_traces_serves_metrics_and_flushes_at_the_end() -> None:
    collector, receiver = Collector(), grpc.aio.server()
    add_to_server: Any = trace_service_pb2_grpc.add_TraceServiceServicer_to_server
    add_to_server(collector, receiver)
    port = receiver.add_insecure_port("127.0.0.1:0")
    await receiver.start()
    metrics_port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        CHILD.format(port=metrics_port),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ
        | {
            "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{REPOSITORY / 'gen'}",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
        },
    )
    assert process.stdout is not None
    assert (await asyncio.wait_for(process.stdout.readline(), 60)).strip() == b"ready"
    async with httpx.AsyncClient(timeout=60) as client:
        text = (await client.get(f"http://127.0.0.1:{metrics_port}/metrics")).text
    assert "sensus_event_loop_lag_seconds_bucket" in text
    _, said = await asyncio.wait_for(process.communicate(b"\n"), 60)
    assert process.returncode == 0, said.decode()
    assert collector.spans == {"alert": "sensus-echo", "below": "sensus-echo"}
    line = json.loads(said.decode().splitlines()[0])
    assert (line["message"], line["alert_id"], len(line["trace_id"])) == ("inside", "a1", 32)
    await receiver.stop(0)


async def test_lag_of_the_loop_is_measured() -> None:
    import time

    from prometheus_client import REGISTRY

    def late() -> float:
        name, above = "sensus_event_loop_lag_seconds_bucket", {"le": "0.1"}
        count = REGISTRY.get_sample_value("sensus_event_loop_lag_seconds_count") or 0
        return count - (REGISTRY.get_sample_value(name, above) or 0)

    before = late()
    task = asyncio.create_task(measure_lag())
    await asyncio.sleep(0.05)
    time.sleep(0.5)  # noqa: ASYNC251 - the very mistake that is measured
    async with asyncio.timeout(60):
        while late() == before:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    task.cancel()
