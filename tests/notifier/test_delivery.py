"""Delivery when things fail: circuits, the fallback receiver, leases, hanging servers."""

import asyncio
from typing import Any
from uuid import uuid4

import grpc
import pytest

from sensus.notifier.v1 import notice_pb2, notifier_service_pb2
from services.notifier.decisions.retry import RetryLimits, is_over, wait_s
from services.notifier.model.incident import Severity
from services.notifier.model.notices import Outcome
from services.notifier.store import Claims, IntegrationKey, Settlements
from tests.notifier.conftest import Running, Start
from tests.notifier.peers import RESOLVED, Hook, Log, failing

SENT = notice_pb2.NOTICE_STATE_SENT
PENDING = notice_pb2.NOTICE_STATE_PENDING


DOWN = notice_pb2.NOTICE_KIND_RECEIVER_DOWN


def one(hook: Hook) -> str:
    """A routing with one webhook."""
    return f"""
route: {{receiver: r}}
receivers: [{{name: r, webhook_configs: [{{url: '{hook.url}'}}]}}]
"""


def test_waits_double_with_full_jitter_up_to_five_minutes() -> None:
    highest = [
        wait_s(attempt, Outcome(error="x"), lambda low, high: high) for attempt in range(1, 12)
    ]
    assert highest == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert all(0 <= wait_s(3, Outcome(error="x")) <= 4 for _ in range(100))


def test_critical_is_tried_for_a_day_and_anything_else_for_two_hours() -> None:
    failed, retry_limits = Outcome(status=500, error="x"), RetryLimits()
    hour = 3600.0
    assert not is_over(Severity.CRITICAL, 23.9 * hour, failed, retry_limits)
    assert is_over(Severity.CRITICAL, 24 * hour, failed, retry_limits)
    assert not is_over(Severity.WARNING, 1.9 * hour, failed, retry_limits)
    assert is_over(Severity.WARNING, 2 * hour, failed, retry_limits)


async def test_receiver_that_does_not_answer_is_told_to_the_fallback(
    notifier: Running, log: Log, hook: Hook, sql: Any
) -> None:
    def answer(taken: Any) -> Any:
        return failing(500)(taken) if taken.path == "/bad" else failing(200)(taken)

    def failed(found: list[notice_pb2.Notice]) -> int:
        return max((n.attempt_count for n in found if n.state == PENDING), default=0)

    hook.answer = answer
    await notifier.route(
        f"""
route: {{receiver: bad}}
fallback: good
receivers:
- name: bad
  webhook_configs: [{{url: '{hook.url}/bad'}}]
- name: good
  webhook_configs: [{{url: '{hook.url}/good'}}]
"""
    )
    await log.tell("i1", "OPENED")
    for tries in range(1, 5):  # without the waits between attempts
        await notifier.until(lambda found, tries=tries: failed(found) >= tries)  # type: ignore[misc]
        await sql.execute("UPDATE notifier.notice SET next_attempt = now() WHERE state = 'pending'")
    found = await notifier.until(
        lambda found: sum(n.receiver == "good" and n.state == SENT for n in found) == 2
    )
    down = [n for n in found if n.kind == DOWN]
    assert [n.title for n in down] == ["[CRITICAL] The webhook does not answer (receiver bad)"]
    assert [n.instead_of for n in found if n.receiver == "good"].count("bad") == 1
    await log.tell("i2", "OPENED")
    await notifier.until(
        lambda found: any(n.incident_id == "i2" and n.receiver == "good" for n in found)
    )
    request = notifier_service_pb2.ListReceiversRequest()
    answered = await notifier.stub.ListReceivers(request)
    (bad,) = [each for each in answered.receivers if each.receiver == "bad"]
    assert bad.integrations[0].circuit == notifier_service_pb2.CIRCUIT_STATE_OPEN
    assert bad.integrations[0].failures == 5
    assert bad.integrations[0].last_error == "the server failed (500)"


async def test_server_that_hangs_holds_up_nobody_else(start: Start, log: Log, hook: Hook) -> None:
    notifier = await start(delivery_timeout_s=1.0)
    hook.hanging = True
    await notifier.route(
        f"""
route:
  receiver: slow
  routes: [{{receiver: slow, continue: true, matchers: []}}, {{receiver: quick}}]
receivers:
- name: slow
  webhook_configs: [{{url: '{hook.url}/slow'}}]
- name: quick
  webhook_configs: [{{url: 'http://127.0.0.1:1/'}}]
"""
    )
    await log.tell("i1", "OPENED")
    found = await notifier.until(
        lambda found: len(found) == 2 and all(n.attempt_count >= 1 for n in found)
    )
    slow = next(n for n in found if n.receiver == "slow")
    async with asyncio.timeout(30):
        while not (await notifier.get(slow.notice_id)).attempts[0].error:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    attempt = (await notifier.get(slow.notice_id)).attempts[0]
    # of the request, or of the whole delivery, whose limit is half a second later
    assert attempt.error in ("no answer within 1 s", "no answer within 1.5 s")
    hook.hanging = False


async def test_who_lost_the_claim_settles_nothing(start: Start, log: Log, hook: Hook) -> None:
    notifier = await start(without=("deliveries",))
    await notifier.route(one(hook))
    await log.tell("i1", "OPENED")
    await notifier.until(lambda found: len(found) == 1)
    pool, way = notifier.notifier.pool, IntegrationKey(receiver="r", integration="webhook[0]")
    routing = notifier.notifier.feed.routing
    first = await Claims(pool, lease_s=0.0).claim(way, uuid4(), None, folds=False)
    second = await Claims(pool, lease_s=60.0).claim(way, uuid4(), None, folds=False)
    assert first is not None
    assert second is not None
    settlements = Settlements(pool, RetryLimits())
    assert not (await settlements.settle(first, Outcome(status=200), 1.0, routing)).counted
    assert (await settlements.settle(second, Outcome(status=200), 1.0, routing)).counted
    (notice,) = await notifier.notices()
    assert (notice.state, notice.attempt_count) == (SENT, 2)


async def test_claims_of_one_incident_wait_for_each_other(
    start: Start, log: Log, hook: Hook
) -> None:
    notifier = await start(without=("deliveries",))
    await notifier.route(one(hook))
    await log.tell("i1", "OPENED")
    await log.tell("i1", "RESOLVED", state=RESOLVED)
    await log.tell("i2", "OPENED")
    await notifier.until(lambda found: len(found) == 3)
    pool, way = notifier.notifier.pool, IntegrationKey(receiver="r", integration="webhook[0]")
    claims = Claims(pool, lease_s=60.0)
    owner = notifier.notifier.owner
    taken = [await claims.claim(way, owner, None, folds=False) for _ in range(3)]
    assert [each and each.notice.incident_id for each in taken] == ["i1", "i2", None]


async def test_notice_is_sent_again_once_per_request(
    notifier: Running, log: Log, hook: Hook
) -> None:
    await notifier.route(one(hook))
    await log.tell("i1", "OPENED")
    (notice,) = await notifier.until(lambda found: [n.state for n in found] == [SENT])
    request = notifier_service_pb2.ResendNoticeRequest(notice_id=notice.notice_id, request_id="a")
    first = (await notifier.stub.ResendNotice(request)).notice
    again = (await notifier.stub.ResendNotice(request)).notice
    assert first.notice_id == again.notice_id != notice.notice_id
    assert first.resent_notice_id == notice.notice_id
    await hook.until(2)


async def test_receiver_taken_out_of_the_routing_is_not_told_of_as_silent(
    notifier: Running, log: Log, hook: Hook, sql: Any
) -> None:
    both = f"""
route: {{receiver: old, group_wait: 1h}}
fallback: new
receivers:
- {{name: old, webhook_configs: [{{url: '{hook.url}/old'}}]}}
- {{name: new, webhook_configs: [{{url: '{hook.url}/new'}}]}}
"""
    await notifier.route(both)
    for number in range(6):
        await log.tell(f"i{number}", "OPENED")
    await notifier.until(lambda found: len(found) == 6)
    await notifier.route(f"""
route: {{receiver: new}}
fallback: new
receivers: [{{name: new, webhook_configs: [{{url: '{hook.url}/new'}}]}}]
""")
    await sql.execute("UPDATE notifier.notice SET next_attempt = now()")
    found = await notifier.until(
        lambda found: sum(n.receiver == "new" and n.state == SENT for n in found) == 6
    )
    assert {n.incident_id for n in found if n.receiver == "new"} == {f"i{n}" for n in range(6)}
    assert not [n for n in found if n.kind == DOWN]
    assert {each.path for each in hook.taken} == {"/new"}


async def test_test_notice_goes_over_each_integration(notifier: Running, hook: Hook) -> None:
    await notifier.route(
        f"""
route: {{receiver: r}}
receivers:
- name: r
  webhook_configs: [{{url: '{hook.url}/a'}}, {{url: '{hook.url}/b', format: alertmanager}}]
"""
    )
    request = notifier_service_pb2.SendTestNoticeRequest(receiver="r")
    answer = await notifier.stub.SendTestNotice(request)
    assert [each.integration for each in answer.notices] == ["webhook[0]", "webhook[1]"]
    taken = await hook.until(2)
    assert {each.path for each in taken} == {"/a", "/b"}


async def test_errors_say_what_to_change(notifier: Running) -> None:
    calls: list[tuple[Any, Any, grpc.StatusCode, str]] = [
        (
            notifier.stub.GetNotice,
            notifier_service_pb2.GetNoticeRequest(notice_id="nonsense"),
            grpc.StatusCode.NOT_FOUND,
            "no notice 'nonsense'",
        ),
        (
            notifier.stub.SendTestNotice,
            notifier_service_pb2.SendTestNoticeRequest(receiver="nobody"),
            grpc.StatusCode.NOT_FOUND,
            "no receiver 'nobody'",
        ),
        (
            notifier.stub.PutRouting,
            notifier_service_pb2.PutRoutingRequest(yaml="route: {receiver: ghost}"),
            grpc.StatusCode.INVALID_ARGUMENT,
            "route.receiver: name one of receivers; 'ghost' is none",
        ),
        (
            notifier.stub.ListNotices,
            notifier_service_pb2.ListNoticesRequest(page_token="!!"),
            grpc.StatusCode.INVALID_ARGUMENT,
            "page_token must be next_page_token as it was given",
        ),
        (
            notifier.stub.TestRouting,
            notifier_service_pb2.TestRoutingRequest(incident_id="none"),
            grpc.StatusCode.NOT_FOUND,
            "no incident 'none'",
        ),
    ]
    for method, request, code, told in calls:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await method(request)
        assert refused.value.code() == code
        assert told in str(refused.value.details())
