"""What people read: lists, postmortems, the audit log, and a watch."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest

from mesh.audit import AuditLog
from sensus.incidents.v1 import incidents_service_pb2 as pb
from services.incidents.lifecycle.times import Times
from services.incidents.store.incidents import rebuild
from tests.incidents.harness import LIMIT_S, RESOLVED, Running, refused
from tests.ingest.harness import alert


async def test_a_reader_changes_nothing(shared: Running) -> None:
    found = await shared.opened(shared.env(), "a")
    async with shared.called_by("user:bob", "read:incidents") as stub:
        await stub.GetIncident(pb.GetIncidentRequest(incident_id=found.incident_id))
        call = stub.Acknowledge(pb.AcknowledgeRequest(incident_id=found.incident_id))
        await refused(call, "SCOPE_MISSING")


async def test_pages_hold_each_once(shared: Running) -> None:
    envs = [shared.env() for _ in range(5)]
    ids = [(await shared.opened(env, "paged")).incident_id for env in envs]
    request = pb.ListIncidentsRequest(selector='{alertname="paged"}', page_size=2)
    found: list[str] = []
    while True:
        answer = await shared.stub.ListIncidents(request)
        found += [each.incident_id for each in answer.incidents]
        if not (token := answer.next_page_token):
            break
        request.page_token = token
    assert found == ids[::-1]


async def test_lists_are_narrowed_by_owner_words_and_severity(shared: Running) -> None:
    one = await shared.opened(shared.env(), "narrowed")
    two = await shared.opened(shared.env(), "narrowed")
    await shared.stub.Acknowledge(pb.AcknowledgeRequest(incident_id=one.incident_id))

    async def ids(**asked: Any) -> set[str]:
        request = pb.ListIncidentsRequest(selector='{alertname="narrowed"}', **asked)
        return {each.incident_id for each in (await shared.stub.ListIncidents(request)).incidents}

    assert await ids(owner="user:anna") == {one.incident_id}
    assert await ids(owner="none") == {two.incident_id}
    assert await ids(query=two.services[0].upper()) == {two.incident_id}
    assert await ids(query="nothing like it") == set()
    assert await ids(query="n_rr%wed") == set()
    assert await ids(min_severity=3) == {one.incident_id, two.incident_id}


async def test_every_figure_of_a_postmortem_is_in_its_evidence(shared: Running) -> None:
    found = await shared.opened(shared.env(), "a", "b", path="[x](http://evil) <b>")
    id = found.incident_id
    await shared.stub.AddNote(pb.AddNoteRequest(incident_id=id, text="# restarted\npod 7"))
    await shared.stub.Resolve(pb.ResolveRequest(incident_id=id, reason="rolled back", cause="v42"))
    answer = (await shared.stub.GetPostmortem(pb.GetPostmortemRequest(incident_id=id))).postmortem
    events = {each.event_id: each for each in await shared.events(id)}
    members = (await shared.get(id)).members
    known = str([*events.values(), *members]) + str((await shared.get(id)).incident)
    for claim in answer.claims:
        stands_on = claim.event_ids or claim.member_ids or claim.evidence_ids
        assert stands_on or "says:" in claim.text or "resolved" in claim.text
        without_times = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "", claim.text)
        for figure in re.findall(r"\d+", without_times):
            assert figure in known, claim
    for heading in ("Impact", "Timeline", "Cause", "What was tried", "Open questions"):
        assert f"\n## {heading}\n" in answer.draft
    assert "\n# restarted" not in answer.draft
    save = pb.SavePostmortemRequest(incident_id=id, text="ours", etag=answer.etag)
    saved = (await shared.stub.SavePostmortem(save)).postmortem
    assert (saved.text, saved.actor) == ("ours", "user:anna")
    await refused(shared.stub.SavePostmortem(save), "ETAG_STALE")


async def test_what_people_do_is_in_the_audit_log(shared: Running) -> None:
    found = await shared.opened(shared.env(), "a")
    await shared.stub.Acknowledge(pb.AcknowledgeRequest(incident_id=found.incident_id))
    log = AuditLog(shared.incidents.pool, "incidents")
    newest = (await log.newest(2**62, 1))[0]
    assert (newest.actor, newest.action) == ("user:anna", "incident.acknowledged")
    assert newest.subject == found.incident_id
    assert await log.first_broken() is None


async def test_a_watch_tells_each_event_once_with_labels(shared: Running) -> None:
    env = shared.env()
    found = await shared.opened(env, "a", "b")
    await shared.stub.Acknowledge(pb.AcknowledgeRequest(incident_id=found.incident_id))
    request = pb.WatchIncidentsRequest(
        after_cursor=0, selector=f'{{environment="{env}"}}', include_member_labels=True
    )
    changes: list[pb.IncidentChange] = []
    cursor = 0
    for _ in range(2):  # a watch that is opened again goes on behind its cursor
        request.after_cursor = cursor
        call = shared.stub.WatchIncidents(request)
        async for frame in call:
            if frame.WhichOneof("frame") == "heartbeat":
                break
            cursor = frame.cursor
            changes.append(frame.change)
        call.cancel()
    transitions = [each.event.transition for each in changes if each.event.transition]
    assert transitions == [1, 2]
    names = {
        label.value
        for labels in changes[-1].member_labels
        for label in labels.labels
        if label.name == "alertname"
    }
    assert names == {"a", "b"}
    told = {each.name: each.value for each in changes[-1].incident.labels}
    assert (told["environment"], told["severity"], told["service"]) == (
        env,
        "critical",
        f"{env}-shop",
    )


async def told_names(watch: Any, wanted: Callable[[set[str]], bool]) -> set[str]:
    """The alerts whose labels a watch tells, once they are as wanted."""
    async with asyncio.timeout(LIMIT_S):
        async for frame in watch:
            sets = [
                {each.name: each.value for each in one.labels} for one in frame.change.member_labels
            ]
            names = {each["alertname"] for each in sets}
            if names and wanted(names):
                return names
    raise AssertionError("the watch ended")


@pytest.mark.parametrize("many", [1, 250])
async def test_an_open_watch_tells_the_labels_of_who_joins_and_fires(
    shared: Running, many: int
) -> None:
    env, start = shared.env(), shared.clock.now_ms()
    names = [f"n{number}" for number in range(many)]
    await shared.opened(env, *names)
    request = pb.WatchIncidentsRequest(
        after_cursor=0, selector=f'{{environment="{env}"}}', include_member_labels=True
    )
    most = min(200, many)
    pairs = {"severity": "critical", "env": env, "service": f"{env}-shop"}
    watch = shared.stub.WatchIncidents(request)
    told = await told_names(watch, lambda names: len(names) == most)
    await shared.write(alert(start_ms=start, **pairs, alertname="late"))
    told = await told_names(watch, lambda names: len(names) == min(200, many + 1))
    gone = min(told - {"late"})
    over = alert(RESOLVED, start_ms=start, end_ms=start + 1, **pairs, alertname=gone)
    await shared.write(over)
    if many > most:
        await told_names(watch, lambda names: len(names) == most and gone not in names)
    watch.cancel()


async def test_the_rows_are_a_fold_of_the_log(shared: Running) -> None:
    pool = shared.incidents.pool
    one = await shared.opened(shared.env(), "a", "b")
    two = await shared.opened(shared.env(), "c")
    merge = pb.MergeIncidentsRequest(incident_id=one.incident_id, incident_ids=[two.incident_id])
    await shared.stub.MergeIncidents(merge)
    query = "SELECT incident_id, body FROM incidents.incident ORDER BY incident_id"
    before = await pool.fetch(query)
    count, wrong = await rebuild(pool, Times())
    assert (count, wrong) == (len(before), 0)
    await pool.execute('UPDATE incidents.incident SET body = \'{"incident_id": "x"}\'')
    _, wrong = await rebuild(pool, Times())
    assert wrong == count
    assert await pool.fetch(query) == before
