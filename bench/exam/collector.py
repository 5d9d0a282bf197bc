"""A real Collector between a shop and the product, which passes all on, or chooses traces."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
TAIL: Final = "tail sampling"
WAYS: Final = ("", "collector", TAIL)
"""From a shop to the product: straight, through a Collector, through one that keeps whole traces
that failed or were slow, and a tenth of all others.
"""
_START_S: Final = 60.0
_END_S: Final = 15.0
_CONFIG: Final = """
receivers: {{otlp: {{protocols: {{grpc: {{endpoint: "127.0.0.1:{port}"}}}}}}}}
processors:
  tail_sampling:
    decision_wait: 5s
    policies:
      - {{name: failed, type: status_code, status_code: {{status_codes: [ERROR]}}}}
      - {{name: slow, type: latency, latency: {{threshold_ms: 500}}}}
      - {{name: others, type: probabilistic, probabilistic: {{sampling_percentage: 10}}}}
exporters:
  otlp:
    endpoint: "{target}"
    tls: {{insecure: true}}
    headers: {{authorization: "Bearer {token}"}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    traces: {{receivers: [otlp], processors: [{processors}], exporters: [otlp]}}
    logs: {{receivers: [otlp], exporters: [otlp]}}
"""


def program() -> str | None:
    """Path of the Collector that `tools/get-peers.sh` builds."""
    return shutil.which("collector", path=str(ROOT / ".peers" / "bin")) or shutil.which("collector")


@asynccontextmanager
async def between(
    way: str, port: int, target: str, token: str, directory: Path
) -> AsyncIterator[str]:
    """Where a shop sends to; `port` is free for a Collector."""
    if not way:
        yield target
        return
    found = program()
    if found is None:
        raise FileNotFoundError("no Collector is here: tools/get-peers.sh builds one")
    processors = "tail_sampling" if way == TAIL else ""
    config = directory / f"collector-{port}.yaml"
    config.write_text(_CONFIG.format(port=port, target=target, token=token, processors=processors))
    with config.with_suffix(".log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            found, f"--config={config}", stdout=log, stderr=log
        )
    try:
        await asyncio.wait_for(_listening(port, process), _START_S)
        yield f"127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _END_S)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _listening(port: int, process: asyncio.subprocess.Process) -> None:
    while process.returncode is None:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.2)
        else:
            writer.close()
            return
    raise RuntimeError("the Collector did not start: see its log")
