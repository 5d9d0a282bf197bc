"""Rules, feedback and models through the gateway, and stored series scored again."""

import csv
import io
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cli.backtest.output import Output
from cli.backtest.stored import Question, backtest_stored
from tests.product import Door, eventually

pytestmark = pytest.mark.e2e


async def scored(door: Door) -> int:
    """Writes until there is a model; the time of the first sample."""
    first_ms = int(time.time() * 1000) - 400_000
    for first in range(0, 300, 30):
        at = [(k, first_ms + k * 1000) for k in range(first, first + 30)]
        rows = {f"kept_{i}": [(ms, 10.0 + (k * (i + 3)) % 7) for k, ms in at] for i in range(10)}
        await door.write("kept", rows)

    async def scoring() -> bool | None:
        return True if (await door.status()).phase == 2 else None

    await eventually(scoring, what="the first model")
    return first_ms


async def test_rule_made_by_rest_announces_and_is_judged(door: Door) -> None:
    first_ms = await scored(door)
    rule = {"name": "kept high", "selector": "kept_0", "comparison": "RULE_COMPARISON_ABOVE",
            "warning": 100, "critical": 200}  # fmt: skip
    made = await door.http.post("/api/v1/rules", json={"rule": rule})
    assert made.status_code == 200, made.text
    rule_id = made.json()["rule"]["ruleId"]
    changed = await door.http.patch(
        f"/api/v1/rules/{rule_id}", json={"rule": {"critical": 300}, "updateMask": "critical"}
    )
    assert changed.json()["rule"]["critical"] == 300
    sent = 0

    async def anomaly() -> dict[str, Any] | None:
        nonlocal sent
        sent += 1
        await door.write("kept", {"kept_0": [(first_ms + (300 + sent) * 1000, 150.0 + sent % 2)]})
        answer = await door.http.get(
            "/api/v1/anomalies",
            params={"selector": "kept_0", "kind": "ANOMALY_KIND_THRESHOLD"},
        )
        found = answer.json().get("anomalies", [])
        return dict(found[0]) if found else None

    found = await eventually(anomaly, what="the anomaly of the rule")
    assert (found["expected"]["high"], found["severity"]) == (100, "SEVERITY_WARNING")
    path = f"/api/v1/anomalies/{found['anomalyId']}"
    said = await door.http.post(
        f"{path}/feedback", json={"verdict": "ANOMALY_VERDICT_TRUE_ALARM", "comment": "well seen"}
    )
    assert said.status_code == 200, said.text
    whole = (await door.http.get(path)).json()["anomaly"]
    assert whole["feedback"]["comment"] == "well seen"
    assert whole["contributions"][0]["feature"] == "rule:kept high"
    assert (await door.http.delete(f"/api/v1/rules/{rule_id}")).status_code == 200


async def test_models_are_listed_trained_and_activated_by_rest(door: Door) -> None:
    await scored(door)
    listed = (await door.http.get("/api/v1/models")).json()["models"]
    assert listed[-1]["version"] == "1"
    trained = await door.http.post("/api/v1/models:train", json={"requestId": "by-rest"})
    assert trained.status_code == 200, trained.text
    assert "TRAINING_STAGE_DONE" in trained.text
    back = await door.http.post("/api/v1/models/1:activate", json={})
    assert back.json()["model"]["state"] == "MODEL_STATE_ACTIVE"


async def test_stored_series_are_scored_by_two_versions_and_compared(
    door: Door, tmp_path: Path
) -> None:
    await scored(door)
    question = Question(selector='{__name__=~"kept_[01]"}', days=1.0, versions=[1, 0])
    output = Output(out=tmp_path, png=True)
    said = io.StringIO()
    console = Console(file=said, width=200)
    assert await backtest_stored(door.product.directory, question, output, console) == 2
    assert "in both" in said.getvalue()
    assert pictures_in(tmp_path) == 2
    rows = first_file_of(tmp_path)
    assert len(rows) >= 300
    assert list(rows[0]) == ["timestamp", "value", "anomaly_score_v1", "anomaly_score_active"]


def pictures_in(directory: Path) -> int:
    return len(list(directory.glob("*.png")))


def first_file_of(directory: Path) -> list[dict[str, str]]:
    with min(directory.glob("*.csv")).open(newline="") as lines:
        return list(csv.DictReader(lines))
