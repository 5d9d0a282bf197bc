"""What callers change by gRPC is in one log, with what it was before, and a cut end is seen."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from typer.testing import CliRunner

from cli.commands.audit import audit as command
from sensus.detector.v1 import detector_service_pb2 as detector_pb2
from sensus.explainer.v1 import explainer_service_pb2 as explainer_pb2
from tests.product import Door

RECORDED_S = 60.0


async def recorded(door: Door, action: str, subject: str) -> dict[str, Any]:
    """The newest entry of that action on `subject` in the gateway's log, once it is there."""
    async with asyncio.timeout(RECORDED_S):
        while True:
            for entry in (await door.http.get("/api/v1/audit?pageSize=50")).json()["entries"]:
                if (entry["action"], entry["subject"]) == (action, subject):
                    return dict(entry)
            await asyncio.sleep(0.2)


async def execute(door: Door, *statements: str) -> None:
    """Runs statements as who owns the database, past the guard of the tables."""
    connection = await asyncpg.connect(door.product.run.postgres_dsn)
    await connection.execute("SET session_replication_role = replica")
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


def verified(door: Door) -> tuple[int, str]:
    """Exit status and output of `sensus audit verify --all`."""
    data_dir: Path = door.product.directory.path
    result = CliRunner().invoke(command, ["verify", "--all", "--data-dir", str(data_dir)])
    return result.exit_code, result.output


async def test_a_rule_leaves_its_life_in_the_log(door: Door) -> None:
    name = f"rule {time.time_ns()}"
    rule = detector_pb2.Rule(name=name, selector="cpu", warning=80.0)
    rule.comparison = detector_pb2.RULE_COMPARISON_ABOVE
    request = detector_pb2.CreateRuleRequest(rule=rule)
    rule = (await door.detector.CreateRule(request)).rule
    made = await recorded(door, "rule.create", rule.rule_id)
    assert made["actor"] == "user:test"
    assert made["detail"]["service"] == "detector"
    assert made["detail"]["outcome"] == "done"
    assert made["detail"]["after"]["warning"] == "80.0"
    update = detector_pb2.UpdateRuleRequest(rule_id=rule.rule_id, rule=rule)
    update.rule.warning = 90.0
    update.update_mask.paths.append("warning")
    await door.detector.UpdateRule(update)
    changed = (await recorded(door, "rule.update", rule.rule_id))["detail"]
    assert (changed["before"], changed["after"]) == ({"warning": "80.0"}, {"warning": "90.0"})
    await door.detector.DeleteRule(detector_pb2.DeleteRuleRequest(rule_id=rule.rule_id))
    assert (await recorded(door, "rule.delete", rule.rule_id))["detail"]["before"]["name"] == name


async def test_a_prompt_leaves_who_wrote_it(door: Door) -> None:
    prompts = (await door.explainer.ListPrompts(explainer_pb2.ListPromptsRequest())).prompts
    text = prompts[0].text + "\nBe brief."
    written = await door.explainer.WritePrompt(
        explainer_pb2.WritePromptRequest(name=prompts[0].prompt_id.partition("@")[0], text=text)
    )
    entry = await recorded(door, "prompt.write", written.prompt.prompt_id)
    assert (entry["actor"], entry["detail"]["service"]) == ("user:test", "explainer")


async def test_rest_and_grpc_leave_the_same_entry(door: Door) -> None:
    body = {"rule": {"name": f"by rest {time.time_ns()}", "selector": "cpu", "warning": 1}}
    body["rule"]["comparison"] = "RULE_COMPARISON_ABOVE"
    made = (await door.http.post("/api/v1/rules", json=body)).json()["rule"]
    assert (await recorded(door, "rule.create", made["ruleId"]))["actor"] == "user:test"


async def test_untouched_logs_are_intact(door: Door) -> None:
    exit_code, output = await asyncio.to_thread(verified, door)
    assert (exit_code, "the audit log is intact" in output) == (0, True), output
    answer = (await door.http.get("/api/v1/audit:verify")).json()
    assert answer == {"intact": True, "firstBrokenEntryId": None, "faults": []}


async def _cut_the_end_of_a_service(door: Door) -> str:
    rule = detector_pb2.Rule(name=f"rule {time.time_ns()}", selector="cpu", warning=80.0)
    rule.comparison = detector_pb2.RULE_COMPARISON_ABOVE
    made = await door.detector.CreateRule(detector_pb2.CreateRuleRequest(rule=rule))
    await recorded(door, "rule.create", made.rule.rule_id)
    await execute(
        door,
        "DELETE FROM detector.audit WHERE entry_id = (SELECT max(entry_id) FROM detector.audit)",
    )
    return "detector: entr"


async def _cut_the_end_of_the_gateway(door: Door) -> str:
    await execute(
        door,
        "DELETE FROM gateway.audit WHERE entry_id > (SELECT max(entry_id) - 2 FROM gateway.audit)",
    )
    return "gateway: "


@pytest.mark.parametrize("cut", [_cut_the_end_of_a_service, _cut_the_end_of_the_gateway])
async def test_a_cut_end_is_seen(door: Door, cut: Callable[[Door], Awaitable[str]]) -> None:
    named = await cut(door)
    exit_code, output = await asyncio.to_thread(verified, door)
    assert exit_code == 1
    assert named in output
    async with asyncio.timeout(30):
        while True:
            answer = (await door.http.get("/api/v1/audit:verify")).json()
            if any(fault.startswith(named) for fault in answer["faults"]):
                break
            await asyncio.sleep(0.5)
    assert not answer["intact"]
