"""Which transitions give a notice, to whom, and in which order: the table of the notices."""

import asyncio
import re
from typing import Any

import pytest

from sensus.core.v1 import series_pb2
from sensus.incidents.v1 import incident_pb2
from sensus.notifier.v1 import notice_pb2, notifier_service_pb2
from tests.notifier.conftest import Running, Start
from tests.notifier.peers import (
    ACKNOWLEDGED,
    CRITICAL,
    MERGED,
    RESOLVED,
    SETTLING,
    WARNING,
    Hook,
    Log,
    kinds,
    webhook_routing,
)

SENT = notice_pb2.NOTICE_STATE_SENT


async def test_opened_incident_is_told_once_with_its_cause(
    notifier: Running, log: Log, hook: Hook
) -> None:
    await notifier.route(webhook_routing(hook))
    cause = incident_pb2.Cause(root_cause="the disk of db-1 is full", confidence=0.9)
    await log.tell("i1", "OPENED", cause=cause, services=["checkout"])
    (taken,) = await hook.until(1)
    body = taken.json
    assert body["kind"] == "opened"
    assert body["title"] == "[CRITICAL] opened: checkout fails (i1)"
    assert body["summary"] == "the disk of db-1 is full"
    assert body["url"] == "https://sensus.example/incidents/i1"
    (notice,) = await notifier.until(lambda found: [n.state for n in found] == [SENT])
    assert taken.headers["idempotency-key"] == notice.notice_id
    told = await notifier.get(notice.notice_id)
    assert [(a.attempt, a.status, a.answer) for a in told.attempts] == [(1, 200, "ok")]


async def test_first_notice_waits_for_the_cause(start: Start, log: Log, hook: Hook) -> None:
    notifier = await start(explanation_wait_s=60.0)
    await notifier.route(webhook_routing(hook))
    await log.tell("i1", "OPENED")
    await notifier.until(lambda found: len(found) == 1)
    assert not hook.taken
    cause = incident_pb2.Cause(root_cause="the disk of db-1 is full", confidence=0.9)
    await log.tell("i1", "EXPLAINED", cause=cause, transition=False)
    (taken,) = await hook.until(1)
    assert taken.json["kind"] == "opened"
    assert taken.json["summary"] == "the disk of db-1 is full"


async def test_first_notice_tells_of_alerts_that_came_while_it_waited(
    start: Start, log: Log, hook: Hook
) -> None:
    notifier = await start(explanation_wait_s=60.0)
    await notifier.route(webhook_routing(hook))
    await log.tell("i1", "OPENED", members=[{"alertname": "A"}], member_count=1)
    both = [{"alertname": "A"}, {"alertname": "B"}]
    await log.tell("i1", "MEMBERS", members=both, member_count=2, transition=False)
    cause = incident_pb2.Cause(root_cause="the disk of db-1 is full", confidence=0.9)
    await log.tell("i1", "EXPLAINED", cause=cause, members=both, transition=False)
    (taken,) = await hook.until(1)
    assert taken.json["incident"]["member_labels"] == both


async def test_first_notice_goes_without_a_cause_that_does_not_come(
    start: Start, log: Log, hook: Hook
) -> None:
    notifier = await start(explanation_wait_s=1.0)
    await notifier.route(webhook_routing(hook))
    await log.tell("i1", "OPENED")
    await notifier.until(lambda found: [n.state for n in found] == [SENT])
    assert hook.taken[0].json["incident"]["cause"] is None


async def test_cause_hurries_no_group_that_the_route_lets_wait(
    start: Start, log: Log, hook: Hook, sql: Any
) -> None:
    notifier = await start(explanation_wait_s=20.0)
    await notifier.route(webhook_routing(hook, route="  group_wait: 50s"))
    await log.tell("i1", "OPENED")
    cause = incident_pb2.Cause(root_cause="the disk of db-1 is full", confidence=0.9)
    await log.tell("i1", "EXPLAINED", cause=cause, transition=False)

    async def explained() -> bool:
        (content,) = (await sql.fetchrow("SELECT content FROM notifier.notice")) or (b"",)
        return b"db-1" in content

    async with asyncio.timeout(60):
        while not await explained():  # noqa: ASYNC110 - the database is asked
            await asyncio.sleep(0.05)
    waits = await sql.fetchval(
        "SELECT extract(epoch FROM next_attempt - create_time)::float FROM notifier.notice"
    )
    assert 20 < waits <= 50
    assert not hook.taken


@pytest.mark.parametrize(
    ("event", "fields", "kind"),
    [
        ("ACKNOWLEDGED", {"state": ACKNOWLEDGED, "owner": "user:anna"}, "acknowledged"),
        ("WORSENED", {"severity": CRITICAL}, "worsened"),
        ("RESOLVED", {"state": RESOLVED}, "resolved"),
        ("UNATTENDED", {}, "unattended"),
        ("MERGED", {"state": MERGED, "merged_into": "i9"}, "merged"),
    ],
)
async def test_transition_is_told_to_who_was_told_of_the_incident(
    notifier: Running, log: Log, hook: Hook, event: str, fields: dict[str, object], kind: str
) -> None:
    await notifier.route(webhook_routing(hook))
    await log.tell("i1", "OPENED", severity=WARNING)
    await log.tell("i1", event, **fields)  # type: ignore[arg-type]
    await hook.until(2)
    assert kinds(hook) == ["opened", kind]


async def test_return_is_told_as_again_and_later_as_flapping(
    notifier: Running, log: Log, hook: Hook
) -> None:
    await notifier.route(webhook_routing(hook))
    await log.tell("i1", "OPENED")
    await log.tell("i1", "RESOLVED", state=RESOLVED)
    await log.tell("i1", "REOPENED")
    await log.tell("i1", "RESOLVED", state=RESOLVED)
    await log.tell("i1", "REOPENED", flapping=True)
    await hook.until(5)
    assert kinds(hook) == ["opened", "resolved", "again", "resolved", "flapping"]


async def test_what_gives_no_notice_tells_nobody(notifier: Running, log: Log, hook: Hook) -> None:
    await notifier.route(webhook_routing(hook))
    await log.tell("i1", "OPENED")
    for event in ("EXPLAINED", "SETTLING", "FLAPPED", "MEMBERS", "NOTE", "MUTED", "UNMUTED"):
        state = SETTLING if event == "SETTLING" else incident_pb2.INCIDENT_STATE_OPEN
        await log.tell("i1", event, state=state, transition=False)
    await log.tell("i2", "OPENED")
    await hook.until(2)
    assert [each.json["incident"]["incident_id"] for each in hook.taken] == ["i1", "i2"]


async def test_preview_tells_who_would_be_told_in_which_words_and_tells_nobody(
    notifier: Running, hook: Hook
) -> None:
    text = "{{ labels.service }}"
    own = f"[{{url: '{hook.url}/own', text: 'look at {text}'}}]"
    await notifier.route(
        f"""
route:
  receiver: hook
  routes: [{{matchers: ['team="db"'], receiver: own, continue: true}}, {{receiver: hook}}]
receivers:
- {{name: hook, webhook_configs: [{{url: '{hook.url}'}}]}}
- {{name: own, webhook_configs: {own}}}
"""
    )
    labels = {"severity": "critical", "alertname": "Disk", "service": "pg", "team": "db"}
    answer = await notifier.stub.TestRouting(
        notifier_service_pb2.TestRoutingRequest(
            labels=[series_pb2.Label(name=n, value=v) for n, v in labels.items()],
            include_texts=True,
        )
    )
    assert [match.receiver for match in answer.matches] == ["own", "hook"]
    (own_text,), (usual,) = (match.previews for match in answer.matches)
    assert own_text.text == "look at pg\n"
    assert usual.integration == "webhook[0]"
    assert usual.title.startswith("[CRITICAL] opened: Disk at pg")
    assert "services: pg" in usual.text
    assert not hook.taken
    assert await notifier.notices() == []


async def test_repeated_and_escalated_unless_somebody_acknowledges(
    start: Start, log: Log, hook: Hook
) -> None:
    notifier = await start(without=("rounds",))
    route = """
  repeat_interval: 2s
  max_repeats: 2
  escalate: [{after: 1s, receiver: boss}]
"""
    boss = f"- {{name: boss, webhook_configs: [{{url: '{hook.url}/boss'}}]}}"
    await notifier.route(webhook_routing(hook, boss, route))
    await log.tell("i1", "OPENED")
    await log.tell("i2", "OPENED")
    await log.tell("i2", "ACKNOWLEDGED", state=ACKNOWLEDGED, owner="user:anna")
    await notifier.until(lambda found: len(found) == 3)
    notifier.begin("rounds")  # what is due is looked at only now
    found = await notifier.until(
        lambda found: (
            sum(n.kind == notice_pb2.NOTICE_KIND_STILL_OPEN for n in found) == 4
            and all(n.state == SENT for n in found)
        )
    )
    escalated = [n for n in found if n.kind == notice_pb2.NOTICE_KIND_ESCALATED]
    assert [(n.incident_id, n.receiver) for n in escalated] == [("i1", "boss")]
    boss_told = [t.json["title"] for t in hook.taken if t.path == "/boss"]
    assert len(boss_told) == 1
    lasted = re.match(r"\[CRITICAL\] not acknowledged for (\d+) s: ", boss_told[0])
    assert lasted is not None
    assert int(lasted[1]) >= 1


async def test_order_per_incident_and_receiver_is_kept_over_failures(
    notifier: Running, log: Log, hook: Hook
) -> None:
    refused = iter([503, 503])

    def answer(taken: object) -> object:
        from starlette.responses import PlainTextResponse

        return PlainTextResponse("-", status_code=next(refused, 200))

    hook.answer = answer  # type: ignore[assignment]
    await notifier.route(webhook_routing(hook))
    await log.tell("i1", "OPENED", severity=WARNING)
    await log.tell("i1", "WORSENED", severity=CRITICAL)
    await log.tell("i1", "RESOLVED", state=RESOLVED)
    await hook.until(5)
    assert kinds(hook) == ["opened", "opened", "opened", "worsened", "resolved"]


async def test_two_replicas_tell_once(start: Start, log: Log, hook: Hook) -> None:
    first = await start()
    await first.route(webhook_routing(hook))
    await start()
    for number in range(40):
        await log.tell(f"i{number}", "OPENED")
    await first.until(lambda found: [n.state for n in found] == [SENT] * 40)
    told = [each.json["incident"]["incident_id"] for each in hook.taken]
    assert sorted(told) == sorted(f"i{number}" for number in range(40))


async def test_replica_that_has_not_read_the_routing_yet_tells_a_new_receiver(
    start: Start, log: Log, hook: Hook
) -> None:
    late = await start(without=("routing", "incidents"))
    first = await start(without=("deliveries",))
    await first.route(webhook_routing(hook))
    await log.tell("i1", "OPENED")
    await late.until(lambda found: [n.state for n in found] == [SENT])
    assert kinds(hook) == ["opened"]


async def test_late_notice_says_how_late_it_is(notifier: Running, log: Log, hook: Hook) -> None:
    await notifier.route(
        f"""
route: {{receiver: mail}}
receivers:
- name: mail
  webhook_configs: [{{url: '{hook.url}', text: '{{{{ facts.late }}}}'}}]
"""
    )
    await log.tell("i1", "OPENED", age_s=14 * 60)
    (taken,) = await hook.until(1)
    assert taken.json["text"].startswith("opened 14 min ago")


async def test_trace_of_the_alert_leads_to_the_notice(
    notifier: Running, log: Log, hook: Hook
) -> None:
    await notifier.route(webhook_routing(hook))
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    await log.tell("i1", "OPENED", traceparent=f"00-{trace}-00f067aa0ba902b7-01")
    found = await notifier.until(lambda found: len(found) == 1)
    assert found[0].trace_id == trace
