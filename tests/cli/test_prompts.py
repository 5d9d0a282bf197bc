"""`sensus prompts` against the running product and a model that says what it is told to."""

import time
from pathlib import Path

from sensus.core.v1 import alert_pb2, series_pb2
from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb
from tests.cli.test_commands import sensus
from tests.explainer.peers import OllamaServer
from tests.product import Door, started, time_series

ANSWER = '{"root_cause": "cpu_usage is the cause.", "mitigation": "Stop it.", "summary": ""}'


async def test_templates_are_listed_shown_written_weighed_tried_and_compared(
    tmp_path: Path,
) -> None:
    async with OllamaServer(answer=ANSWER).serve() as provider:
        settings = {"SENSUS_LLM_PROVIDERS": provider}
        async with started(tmp_path / "data", settings=settings) as door:
            await _use(tmp_path, await _alert(door))


async def _use(directory: Path, alert_id: str) -> None:
    data = ("--data-dir", directory / "data")
    status, output, errors = await sensus("prompts", "list", *data)
    assert status == 0, errors
    assert "brief@1" in output
    assert "plain@1" in output
    text = directory / "mine.md"
    text.write_text("Say it in rhyme.\n")
    assert await sensus("prompts", "write", "mine", text, *data) == (0, "mine@1\n", "")
    assert (await sensus("prompts", "show", "mine", *data))[1] == "Say it in rhyme.\n"
    assert (await sensus("prompts", "weigh", "mine@1", "0.5", *data))[1] == "mine@1 0.5\n"
    status, output, errors = await sensus("prompts", "try", "mine", alert_id, *data)
    assert status == 0, errors
    assert "Worded by:" in output
    status, output, errors = await sensus(
        "prompts", "compare", "plain@1", "mine", "--on", alert_id, *data
    )
    assert status == 0, errors
    assert output.count("Worded by:") == 2
    status, _, errors = await sensus("prompts", "show", "nobody", *data)
    assert (status, errors) == (1, "sensus: no prompt 'nobody': check the id\n")


async def _alert(door: Door) -> str:
    now_ms = int(time.time() * 1000)
    rows = [
        (now_ms - 3_600_000 + place * 15_000, 90.0 if place > 230 else 20.0 + place % 3)
        for place in range(240)
    ]
    batch = ingest_pb.SampleBatch(
        sequence=1, series=[time_series({"__name__": "cpu_usage", "host": "web-1"}, rows)]
    )
    await door.ingest.WriteBatch(ingest_pb.WriteBatchRequest(producer_id="p", batch=batch))
    labels = {"alertname": "HighCPU", "host": "web-1", "severity": "critical"}
    alert = alert_pb2.Alert(
        labels=[series_pb2.Label(name=name, value=value) for name, value in labels.items()],
        state=alert_pb2.ALERT_STATE_FIRING,
    )
    alert.start_time.FromMilliseconds(now_ms)
    answer = await door.ingest.WriteAlerts(ingest_pb.WriteAlertsRequest(alerts=[alert]))
    return str(answer.alert_ids[0])
