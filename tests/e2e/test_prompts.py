"""`sensus prompts` against the running product and a model that says what it is told to."""

import time
from pathlib import Path

import pytest

from sensus.core.v1 import alert_pb2, series_pb2
from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb
from tests.cli.test_commands import sensus
from tests.product import Door, time_series

pytestmark = pytest.mark.e2e


async def test_templates_are_listed_shown_written_weighed_tried_and_compared(
    door: Door, tmp_path: Path
) -> None:
    alert_id = await _alert(door)
    data = ("--data-dir", door.product.directory.path)
    status, output, errors = await sensus("prompts", "list", *data)
    assert status == 0, errors
    assert "brief@2" in output
    assert "plain@2" in output
    text = tmp_path / "mine.md"
    text.write_text("Say it in rhyme.\n")
    assert await sensus("prompts", "write", "mine", text, *data) == (0, "mine@1\n", "")
    assert (await sensus("prompts", "show", "mine", *data))[1] == "Say it in rhyme.\n"
    assert (await sensus("prompts", "weigh", "mine@1", "0.5", *data))[1] == "mine@1 0.5\n"
    status, output, errors = await sensus("prompts", "try", "mine", alert_id, *data)
    assert status == 0, errors
    assert "Worded by:" in output
    status, output, errors = await sensus(
        "prompts", "compare", "plain@2", "mine", "--on", alert_id, *data
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
        sequence=1, series=[time_series({"__name__": "cpu_usage", "host": "web-9"}, rows)]
    )
    await door.ingest.WriteBatch(ingest_pb.WriteBatchRequest(producer_id="p", batch=batch))
    labels = {"alertname": "PromptedCPU", "host": "web-9", "severity": "critical"}
    alert = alert_pb2.Alert(
        labels=[series_pb2.Label(name=name, value=value) for name, value in labels.items()],
        state=alert_pb2.ALERT_STATE_FIRING,
    )
    alert.start_time.FromMilliseconds(now_ms)
    answer = await door.ingest.WriteAlerts(ingest_pb.WriteAlertsRequest(alerts=[alert]))
    return str(answer.alert_ids[0])
