"""What people ask for: merges, splits, silences, rules, and all that they get wrong."""

import asyncio
import json
from typing import Any

import grpc
import pytest

from sensus.incidents.v1 import incident_pb2
from sensus.incidents.v1 import incidents_service_pb2 as pb
from tests.incidents.harness import OPEN, Running, refusal, refused, until
from tests.ingest.harness import alert

NOBODY = "i-0000000000000000"


async def test_a_request_that_is_repeated_changes_once(shared: Running) -> None:
    found = await shared.opened(shared.env(), "a")
    request = pb.AddNoteRequest(
        incident_id=found.incident_id, text="once", request_id=found.incident_id
    )
    answers = await asyncio.gather(*(shared.stub.AddNote(request) for _ in range(5)))
    assert len({each.event.event_id for each in answers}) == 1
    assert (await shared.kinds(found.incident_id)).count("NOTE") == 1
    request.text = "twice"
    await refused(shared.stub.AddNote(request), "REQUEST_ID_REUSED")


async def test_of_two_who_change_at_once_one_reads_again(shared: Running) -> None:
    found = await shared.opened(shared.env(), "a")
    requests = [
        pb.UpdateIncidentRequest(incident_id=found.incident_id, title=title, etag=found.etag)
        for title in ("one", "two")
    ]
    for each in requests:
        each.update_mask.paths.append("title")
    answers = await asyncio.gather(
        *(shared.stub.UpdateIncident(each) for each in requests), return_exceptions=True
    )
    stale = [each for each in answers if isinstance(each, grpc.aio.AioRpcError)]
    assert len(stale) == 1
    assert "ETAG_STALE" in refusal(stale[0])


async def test_a_severity_that_a_person_raises_is_told(shared: Running) -> None:
    env = shared.env()
    await shared.write(alert(start_ms=shared.clock.now_ms(), env=env, severity="warning"))
    await shared.placed(env, 1)
    await shared.later(11)

    async def one() -> incident_pb2.Incident | None:
        found = await shared.listed(env)
        return found[0] if found else None

    found = await until(one)
    request = pb.UpdateIncidentRequest(incident_id=found.incident_id, severity=3, etag=found.etag)
    request.update_mask.paths.append("severity")
    after = (await shared.stub.UpdateIncident(request)).incident
    assert (after.severity, after.transition) == (3, found.transition + 1)


async def test_members_move_with_a_merge_and_back_with_its_undo(shared: Running) -> None:
    one = await shared.opened(shared.env(), "a", "b")
    two = await shared.opened(shared.env(), "c")
    merge = pb.MergeIncidentsRequest(incident_id=one.incident_id, incident_ids=[two.incident_id])
    after = (await shared.stub.MergeIncidents(merge)).incident
    assert (after.member_count, after.firing_count) == (3, 3)
    assert len((await shared.get(two.incident_id)).members) == 3
    await refused(shared.stub.MergeIncidents(merge), "INCIDENT_MERGED")
    watch = shared.stub.WatchIncidents(
        pb.WatchIncidentsRequest(after_cursor=0, incident_id=two.incident_id)
    )
    merged = 0
    async for frame in watch:
        if frame.change.event.kind == incident_pb2.EVENT_KIND_MERGED:
            merged = frame.change.event.event_id
            break
    watch.cancel()
    undo = pb.UndoChangeRequest(incident_id=two.incident_id, event_id=merged)
    back = (await shared.stub.UndoChange(undo)).incident
    assert (back.incident_id, back.member_count, back.state) == (two.incident_id, 1, OPEN)
    assert (await shared.get(one.incident_id)).incident.member_count == 2
    undo.request_id = ""
    await refused(shared.stub.UndoChange(undo), "CANNOT_UNDO")


async def test_what_fires_is_not_merged_into_what_is_over(shared: Running) -> None:
    over, other = [await shared.opened(shared.env(), "a") for _ in range(2)]
    await shared.stub.Resolve(pb.ResolveRequest(incident_id=over.incident_id))
    ids = [other.incident_id]
    merge = pb.MergeIncidentsRequest(incident_id=over.incident_id, incident_ids=ids)
    await refused(shared.stub.MergeIncidents(merge), "INCIDENT_RESOLVED")
    await shared.stub.Reopen(pb.ReopenRequest(incident_id=over.incident_id))
    assert (await shared.stub.MergeIncidents(merge)).incident.firing_count == 2


async def test_members_that_leave_open_an_incident_of_their_own(shared: Running) -> None:
    found = await shared.opened(shared.env(), "a", "b", "c")
    members = [each.member_id for each in (await shared.get(found.incident_id)).members]
    request = pb.SplitIncidentRequest(incident_id=found.incident_id, member_ids=members[:1])
    answer = await shared.stub.SplitIncident(request)
    assert (answer.incident.member_count, answer.new_incident.member_count) == (2, 1)
    assert answer.new_incident.state == OPEN
    assert await shared.kinds(answer.new_incident.incident_id) == ["OPENED"]
    moved = (await shared.get(answer.new_incident.incident_id)).members
    assert [each.member_id for each in moved] == members[:1]
    assert moved[0].join_reason == incident_pb2.JOIN_REASON_PERSON
    request.member_ids[:] = members[1:]
    await refused(shared.stub.SplitIncident(request), "INVALID_SPLIT")
    request.member_ids[:] = ["nothing"]
    await refused(shared.stub.SplitIncident(request), "MEMBER_NOT_FOUND")


async def test_an_undo_cannot_be_undone(shared: Running) -> None:
    found = await shared.opened(shared.env(), "a")
    id = found.incident_id
    await shared.stub.Acknowledge(pb.AcknowledgeRequest(incident_id=id))
    done = (await shared.events(id))[-1]
    await shared.stub.UndoChange(pb.UndoChangeRequest(incident_id=id, event_id=done.event_id))
    undone = (await shared.events(id))[-1]
    assert undone.kind == incident_pb2.EVENT_KIND_UNDONE
    for event_id in (undone.event_id, done.event_id):
        request = pb.UndoChangeRequest(incident_id=id, event_id=event_id)
        await refused(shared.stub.UndoChange(request), "CANNOT_UNDO")


async def test_a_change_that_others_stand_on_cannot_be_undone(shared: Running) -> None:
    found = await shared.opened(shared.env(), "a")
    id = found.incident_id
    await shared.stub.Acknowledge(pb.AcknowledgeRequest(incident_id=id))
    done = (await shared.events(id))[-1]
    await shared.stub.Resolve(pb.ResolveRequest(incident_id=id))
    request = pb.UndoChangeRequest(incident_id=id, event_id=done.event_id)
    await refused(shared.stub.UndoChange(request), "CANNOT_UNDO")


BAD: list[tuple[str, Any, str]] = [
    ("GetIncident", pb.GetIncidentRequest(incident_id=NOBODY), "INCIDENT_NOT_FOUND"),
    ("GetIncident", pb.GetIncidentRequest(incident_id="\0"), "INCIDENT_NOT_FOUND"),
    ("Acknowledge", pb.AcknowledgeRequest(incident_id=NOBODY), "INCIDENT_NOT_FOUND"),
    ("Resolve", pb.ResolveRequest(incident_id=NOBODY, reason="x" * 2001), "INVALID_REASON"),
    ("Mute", pb.MuteRequest(incident_id=NOBODY), "INVALID_MUTE"),
    ("AddNote", pb.AddNoteRequest(incident_id=NOBODY), "INVALID_NOTE"),
    ("AddNote", pb.AddNoteRequest(incident_id=NOBODY, text="a\0b"), "INVALID_NOTE"),
    (
        "AddNote",
        pb.AddNoteRequest(incident_id=NOBODY, text="a", request_id="x" * 129),
        "INVALID_REQUEST_ID",
    ),
    (
        "MergeIncidents",
        pb.MergeIncidentsRequest(incident_id=NOBODY, incident_ids=[NOBODY]),
        "INVALID_MERGE",
    ),
    ("MergeIncidents", pb.MergeIncidentsRequest(incident_id=NOBODY), "INVALID_MERGE"),
    (
        "MergeIncidents",
        pb.MergeIncidentsRequest(incident_id=NOBODY, incident_ids=map(str, range(51))),
        "INVALID_MERGE",
    ),
    ("SplitIncident", pb.SplitIncidentRequest(incident_id=NOBODY), "INVALID_SPLIT"),
    ("UpdateIncident", pb.UpdateIncidentRequest(incident_id=NOBODY), "INVALID_UPDATE_MASK"),
    ("ListIncidents", pb.ListIncidentsRequest(selector="{"), "INVALID_SELECTOR"),
    ("ListIncidents", pb.ListIncidentsRequest(states=[9]), "INVALID_STATE"),
    ("ListIncidents", pb.ListIncidentsRequest(page_size=1001), "INVALID_PAGE_SIZE"),
    ("ListIncidents", pb.ListIncidentsRequest(page_token="x"), "INVALID_PAGE_TOKEN"),
    ("CreateSilence", pb.CreateSilenceRequest(), "INVALID_SELECTOR"),
    (
        "CreateSilence",
        pb.CreateSilenceRequest(silence=pb.Silence(selector='{a="b"}', until_resolved=True)),
        "INVALID_REASON",
    ),
    ("ExpireSilence", pb.ExpireSilenceRequest(silence_id="x"), "SILENCE_NOT_FOUND"),
    ("ImportSilences", pb.ImportSilencesRequest(alertmanager_json="{}"), "INVALID_SILENCES"),
    (
        "ImportSilences",
        pb.ImportSilencesRequest(alertmanager_json="[" * 99_999),
        "INVALID_SILENCES",
    ),
    ("CreateGroupingRule", pb.CreateGroupingRuleRequest(), "INVALID_RULE"),
    ("DeleteGroupingRule", pb.DeleteGroupingRuleRequest(rule_id="x"), "RULE_NOT_FOUND"),
    ("GetPostmortem", pb.GetPostmortemRequest(incident_id=NOBODY), "INCIDENT_NOT_FOUND"),
    ("SavePostmortem", pb.SavePostmortemRequest(incident_id=NOBODY), "INVALID_TEXT"),
]


@pytest.mark.parametrize(
    ("method", "request_", "reason"),
    [pytest.param(*each, id=f"{each[0]}-{number}") for number, each in enumerate(BAD)],
)
async def test_what_is_wrong_is_named(
    shared: Running, method: str, request_: Any, reason: str
) -> None:
    await refused(getattr(shared.stub, method)(request_), reason)


async def test_a_silence_holds_back_until_nothing_fires(shared: Running) -> None:
    env = shared.env()
    found = await shared.opened(env, "a")
    silence = pb.Silence(selector=f'{{env="{env}"}}', until_resolved=True, reason="known")
    made = (await shared.stub.CreateSilence(pb.CreateSilenceRequest(silence=silence))).silence

    async def held(ids: list[str]) -> bool | None:
        incident = (await shared.get(found.incident_id)).incident
        return list(incident.silence_ids) == ids or None

    await until(lambda: held([made.silence_id]))
    member = (await shared.get(found.incident_id)).members[0]
    labels = {each.name: each.value for each in member.labels}
    start = member.start_time.ToMilliseconds()
    await shared.write(alert(2, start_ms=start, end_ms=shared.clock.now_ms(), **labels))
    await until(lambda: held([]))

    async def over() -> bool | None:
        listed = await shared.stub.ListSilences(pb.ListSilencesRequest(include_expired=True))
        ended = {each.silence_id for each in listed.silences if each.HasField("expire_time")}
        return made.silence_id in ended or None

    await until(over)
    kinds = await shared.kinds(found.incident_id)
    assert [each for each in kinds if "SILENCED" in each] == ["SILENCED", "UNSILENCED"]


async def test_silences_of_alertmanager_are_taken_once_and_losses_named(shared: Running) -> None:
    def entry(id: str, **more: Any) -> dict[str, Any]:
        matcher = {"name": "job", "value": 'a"b', "isRegex": False, "isEqual": True}
        return {
            "id": id,
            "matchers": [matcher, {"name": "x", "value": "a.*", "isRegex": True}],
            "startsAt": "2026-01-01T00:00:00.000Z",
            "endsAt": "2999-01-01T00:00:00.000Z",
            "createdBy": "bob",
            "comment": "why",
            "status": {"state": "active"},
        } | more

    entries = [
        entry("one"),
        entry("two", endsAt="2026-01-02T00:00:00Z"),
        entry("three", matchers="none"),
        "four",
    ]
    for _ in range(2):
        request = pb.ImportSilencesRequest(alertmanager_json=json.dumps(entries))
        answer = await shared.stub.ImportSilences(request)
        assert (answer.imported, len(answer.lost)) == (1, 3)
        assert [each.split(":")[0] for each in answer.lost] == ["entry 1", "entry 2", "entry 3"]
    listed = (await shared.stub.ListSilences(pb.ListSilencesRequest())).silences
    assert [each.imported_id for each in listed].count("one") == 1


async def test_a_rule_groups_what_comes_and_is_tried_before(shared: Running) -> None:
    env = shared.env()
    now = shared.clock.now_ms()
    wide = {"env": env, "severity": "critical"}
    await shared.write(
        *(alert(start_ms=now - n * 97_000, service=f"{env}{n}", **wide) for n in range(3))
    )

    async def apart() -> bool | None:
        return len(await shared.listed(env)) == 3 or None

    await until(apart)
    rule = pb.GroupingRule(name=env, selector=f'{{env="{env}"}}')
    rule.window.FromSeconds(600)
    preview = pb.PreviewGroupingRequest(rules=[rule])
    preview.start_time.FromMilliseconds(now - 400_000)
    frames = [each async for each in shared.stub.PreviewGrouping(preview)]
    mine = [
        f.incident
        for f in frames
        if f.incident.member_count == 3 and len(f.incident.incident_ids) == 3
    ]
    assert len(mine) == 1
    assert frames[-1].summary.incident_count == len(frames) - 1
    made = (await shared.stub.CreateGroupingRule(pb.CreateGroupingRuleRequest(rule=rule))).rule
    again = pb.CreateGroupingRuleRequest(rule=rule)
    await refused(shared.stub.CreateGroupingRule(again), "RULE_EXISTS")

    async def grouped() -> bool | None:
        pair = [
            alert(start_ms=shared.clock.now_ms(), service=f"{env}{n}", run=str(n), **wide)
            for n in (8, 9)
        ]
        ids = await shared.write(*pair)
        await asyncio.sleep(0.3)
        query = (
            "SELECT DISTINCT incident_id, reason FROM incidents.member WHERE member_id = ANY($1)"
        )
        rows = await shared.incidents.pool.fetch(query, ids)
        return (
            len({row["incident_id"] for row in rows}) == 1 and 2 in {r["reason"] for r in rows}
        ) or None

    await until(grouped)
    await shared.stub.DeleteGroupingRule(pb.DeleteGroupingRuleRequest(rule_id=made.rule_id))
