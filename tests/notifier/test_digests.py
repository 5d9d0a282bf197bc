"""More notices than a receiver may get fold into digests, and nothing into silence."""

from sensus.notifier.v1 import notice_pb2, notifier_service_pb2
from tests.notifier.conftest import Running
from tests.notifier.peers import RESOLVED, WARNING, Hook, Log

SENT = notice_pb2.NOTICE_STATE_SENT
FOLDED = notice_pb2.NOTICE_STATE_FOLDED
DIGEST = notice_pb2.NOTICE_KIND_DIGEST


async def limit(notifier: Running, hook: Hook, *, notices: int, per_s: int) -> None:
    """Sends all to the hook, so many notices in so many seconds."""
    await notifier.route(
        f"""
route: {{receiver: r}}
receivers:
- name: r
  rate: {{notices: {notices}, per: {per_s}s}}
  webhook_configs: [{{url: '{hook.url}'}}]
"""
    )


async def test_storm_folds_into_a_digest_and_never_into_silence(
    notifier: Running, log: Log, hook: Hook
) -> None:
    await limit(notifier, hook, notices=2, per_s=6)
    for number in range(37):
        await log.tell(f"i{number}", "OPENED", severity=WARNING if number else 3)
    found = await notifier.until(
        lambda found: (
            sum(n.kind != DIGEST for n in found) == 37
            and all(n.state in (SENT, FOLDED) for n in found)
        )
    )
    named = {each.json["incident"]["incident_id"] for each in hook.taken if each.json["incident"]}
    folded = [n.incident_id for n in found if n.state == FOLDED]
    assert named | set(folded) == {f"i{number}" for number in range(37)}
    titles = [title for each in hook.taken for title in each.json["digest"]]
    assert len(titles) == len(folded)
    assert len(hook.taken) < 37


async def test_later_notice_of_a_folded_incident_follows_its_digest(
    notifier: Running, log: Log, hook: Hook
) -> None:
    await limit(notifier, hook, notices=1, per_s=2)
    for number in range(5):
        await log.tell(f"i{number}", "OPENED")
    await notifier.until(lambda found: any(n.state == FOLDED for n in found))
    for number in range(5):
        await log.tell(f"i{number}", "RESOLVED", state=RESOLVED)
    found = await notifier.until(
        lambda found: (
            sum(n.kind != DIGEST for n in found) == 10
            and all(n.state in (SENT, FOLDED) for n in found)
        )
    )
    sent = {n.notice_id: n.sent_time.ToMilliseconds() for n in found if n.state == SENT}
    when = {
        (n.incident_id, n.kind): sent[n.digest_notice_id or n.notice_id]
        for n in found
        if n.incident_id
    }
    for number in range(5):
        opened = when[f"i{number}", notice_pb2.NOTICE_KIND_OPENED]
        assert opened <= when[f"i{number}", notice_pb2.NOTICE_KIND_RESOLVED]


async def test_digest_is_sent_again_with_its_members(
    notifier: Running, log: Log, hook: Hook
) -> None:
    await limit(notifier, hook, notices=1, per_s=2)
    for number in range(4):
        await log.tell(f"i{number}", "OPENED")
    found = await notifier.until(
        lambda found: any(n.kind == DIGEST and n.state == SENT for n in found)
    )
    digest = next(n for n in found if n.kind == DIGEST and n.state == SENT)
    request = notifier_service_pb2.ResendNoticeRequest(notice_id=digest.notice_id, request_id="a")
    again = (await notifier.stub.ResendNotice(request)).notice
    await notifier.until(
        lambda found: any(n.notice_id == again.notice_id and n.state == SENT for n in found)
    )
    members = {each.headers["idempotency-key"]: each.json["digest"] for each in hook.taken}
    assert members[again.notice_id] == members[digest.notice_id] != []
