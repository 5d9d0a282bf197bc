"""Notices that wait: silences, mutes, inhibition, and who was not told of the begin."""

import asyncio
from typing import Any

import pytest

from sensus.incidents.v1 import incident_pb2
from sensus.notifier.v1 import notice_pb2
from tests.notifier.conftest import Running
from tests.notifier.peers import (
    ACKNOWLEDGED,
    CRITICAL,
    MERGED,
    RESOLVED,
    WARNING,
    Hook,
    Log,
    kinds,
    webhook_routing,
)

SENT = notice_pb2.NOTICE_STATE_SENT
DROPPED = notice_pb2.NOTICE_STATE_DROPPED


async def test_who_was_not_told_of_it_hears_nothing_of_its_end(
    notifier: Running, log: Log, hook: Hook, sql: Any
) -> None:
    await log.tell("i1", "OPENED")  # nobody is routed yet
    async with asyncio.timeout(60):
        while await sql.fetchval("SELECT cursor FROM notifier.cursor") != 1:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await notifier.route(webhook_routing(hook))
    await log.tell("i1", "RESOLVED", state=RESOLVED)
    await log.tell("i2", "OPENED")
    await hook.until(1)
    assert [each.json["incident"]["incident_id"] for each in hook.taken] == ["i2"]


@pytest.mark.parametrize("event", ["ACKNOWLEDGED", "RESOLVED", "MERGED"])
async def test_who_was_not_told_of_its_begin_hears_nothing_of_what_follows(
    notifier: Running, log: Log, hook: Hook, event: str
) -> None:
    other = f"- {{name: other, webhook_configs: [{{url: '{hook.url}/other'}}]}}"
    await notifier.route(
        webhook_routing(
            hook,
            other,
            """
  routes: [{receiver: other, matchers: ['team="b"']}]
""",
        )
    )
    await log.tell("i1", "OPENED", labels={"team": "a"})
    state = {"ACKNOWLEDGED": ACKNOWLEDGED, "RESOLVED": RESOLVED, "MERGED": MERGED}[event]
    await log.tell("i1", event, labels={"team": "b"}, state=state)
    await log.tell("i2", "OPENED", labels={"team": "b"})
    await hook.until(3)
    assert {(t.path, t.json["incident"]["incident_id"]) for t in hook.taken} == {
        ("/a", "i1"),
        ("/other", "i2"),
    }


async def test_what_was_told_before_a_silence_is_not_told_again_at_its_end(
    notifier: Running, log: Log, hook: Hook
) -> None:
    await notifier.route(webhook_routing(hook))
    await log.tell("i1", "OPENED")
    await log.tell("i1", "SILENCED", silence_ids=["s1"], transition=False)
    await log.tell("i1", "UNSILENCED", silence_ids=[], transition=False)
    await log.tell("i2", "OPENED")
    await notifier.until(lambda found: [n.state for n in found] == [SENT, SENT])
    assert [each.json["incident"]["incident_id"] for each in hook.taken] == ["i1", "i2"]


async def test_what_still_fires_when_its_silence_ends_is_told_then(
    notifier: Running, log: Log, hook: Hook
) -> None:
    await notifier.route(webhook_routing(hook))
    await log.tell("i1", "OPENED", severity=WARNING, silence_ids=["s1"])
    await log.tell("i1", "WORSENED", severity=CRITICAL)
    await notifier.until(lambda found: len(found) == 2)
    assert not hook.taken
    await log.tell("i1", "UNSILENCED", silence_ids=[], transition=False)
    await hook.until(1)
    await notifier.until(lambda found: {n.state for n in found} <= {SENT, DROPPED})
    assert kinds(hook) == ["worsened"]


async def test_end_of_a_muted_incident_is_told_all_the_same(
    notifier: Running, log: Log, hook: Hook
) -> None:
    await notifier.route(webhook_routing(hook))
    await log.tell("i1", "OPENED", severity=WARNING)
    mute = incident_pb2.Mute(until_resolved=True)
    await log.tell("i1", "MUTED", mute=mute, transition=False)
    await log.tell("i1", "WORSENED", severity=CRITICAL)
    await log.tell("i1", "RESOLVED", state=RESOLVED)
    await hook.until(2)
    assert kinds(hook) == ["opened", "resolved"]
    held = [n for n in await notifier.notices() if n.held_by]
    assert [n.held_by for n in held] == ["the incident is muted"]


async def test_what_opened_while_it_was_muted_is_told_when_the_mute_ends(
    notifier: Running, log: Log, hook: Hook
) -> None:
    await notifier.route(webhook_routing(hook))
    await log.tell("i1", "OPENED", mute=incident_pb2.Mute(until_resolved=True))
    await notifier.until(lambda found: len(found) == 1)
    assert kinds(hook) == []
    await log.tell("i1", "UNMUTED", mute=None, transition=False)
    await hook.until(1)
    assert kinds(hook) == ["opened"]


async def test_what_was_over_before_its_silence_ended_is_dropped(
    notifier: Running, log: Log, hook: Hook
) -> None:
    await notifier.route(webhook_routing(hook))
    await log.tell("i1", "OPENED", silence_ids=["s1"])
    await log.tell("i1", "RESOLVED", state=RESOLVED, silence_ids=[])
    found = await notifier.until(
        lambda found: [n.state for n in found] == [notice_pb2.NOTICE_STATE_DROPPED]
    )
    assert found[0].held_by == "silences hold all of its alerts back"
    assert kinds(hook) == []


async def test_inhibited_incident_is_told_when_its_inhibitor_is_over(
    notifier: Running, log: Log, hook: Hook
) -> None:
    rule = """
inhibit_rules: [{source_match: {kind: power}, target_match: {kind: disk}, equal: [dc]}]
"""
    await notifier.route(webhook_routing(hook, rule))
    await log.tell("power", "OPENED", labels={"kind": "power", "dc": "a"})
    await log.tell("disk", "OPENED", labels={"kind": "disk", "dc": "a"})
    await log.tell("other", "OPENED", labels={"kind": "disk", "dc": "b"})
    await hook.until(2)
    found = await notifier.notices(incident_id="disk")
    assert [n.held_by for n in found] == ["inhibited by incident power"]
    await log.tell("power", "RESOLVED", state=RESOLVED)
    await hook.until(4)
    told = [each.json["incident"]["incident_id"] for each in hook.taken]
    assert sorted(told[2:]) == ["disk", "power"]


async def test_inhibition_asks_by_labels_and_not_for_every_open_incident(
    notifier: Running, log: Log, hook: Hook, sql: Any
) -> None:
    """Of a thousand open incidents those that can hold it back are read, by an index."""
    rule = """
inhibit_rules: [{source_match: {kind: power}, target_match: {kind: disk}, equal: [dc]}]
"""
    await notifier.route(webhook_routing(hook, rule))
    await sql.execute(
        "INSERT INTO notifier.incident (incident_id, is_over, document, labels) "
        "SELECT 'x' || n, false, 'no JSON: whoever reads it fails', "
        "jsonb_build_object('kind', 'power', 'dc', n::text) FROM generate_series(1, 1000) n"
    )
    await log.tell("power", "OPENED", labels={"kind": "power", "dc": "a"})
    await log.tell("disk", "OPENED", labels={"kind": "disk", "dc": "a"})
    await log.tell("other", "OPENED", labels={"kind": "disk", "dc": "b"})
    await hook.until(2)
    assert [n.held_by for n in await notifier.notices(incident_id="disk")] == [
        "inhibited by incident power"
    ]
    assert [n.held_by for n in await notifier.notices(incident_id="other")] == [""]
