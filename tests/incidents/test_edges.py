"""What should not happen and does: clocks that jump, replicas that disagree, very many members."""

from sensus.incidents.v1 import incident_pb2
from sensus.incidents.v1 import incidents_service_pb2 as pb
from tests.incidents.harness import OPEN, RESOLVED, Running
from tests.ingest.harness import alert

DAY_S = 86_400
MANY = 10_000
SETTLING = incident_pb2.INCIDENT_STATE_SETTLING
OVER = incident_pb2.INCIDENT_STATE_RESOLVED
_MANY = """
INSERT INTO incidents.member (member_id, incident_id, joined_no, kind, fingerprint, labels,
    severity, start_ms, end_ms, reason, service)
SELECT 'many-' || n, $1, $2, 1, 'many-' || n, jsonb_build_object('pod', n::text), 2, 1000,
    2000, 4, 's'
FROM generate_series(1, $3::integer) AS n
"""


async def test_a_clock_that_goes_back_keeps_nobody_waiting(service: Running) -> None:
    env = service.env()
    await service.later(DAY_S)
    now = service.clock.now_ms() - DAY_S * 1000
    await service.write(
        alert(start_ms=now, severity="warning", env=env, service="s", alertname="a")
    )
    await service.placed(env, 1)
    await service.later(-DAY_S)
    assert (await service.one(env)).state == OPEN


async def test_replicas_that_disagree_on_the_start_are_one_alert(service: Running) -> None:
    env, now = service.env(), service.clock.now_ms()
    labels = {"severity": "critical", "env": env, "service": "s", "alertname": "a"}
    for replica, start in (("x", now - 30_000), ("y", now - 15_000), ("x", now - 30_000)):
        await service.write(alert(start_ms=start, prometheus_replica=replica, **labels))
        await service.one(env)
    await service.read_all()
    # the older episode ends where the younger one begins: it may settle in between, untold
    found = await service.reaches((await service.one(env)).incident_id, OPEN)
    assert found.transition == 1
    for replica, start in (("x", now - 30_000), ("y", now - 15_000)):
        pairs = labels | {"prometheus_replica": replica}
        await service.write(alert(RESOLVED, start_ms=start, end_ms=service.clock.now_ms(), **pairs))
    after = await service.reaches(found.incident_id, SETTLING)
    assert after.firing_count == 0
    await service.later(301)
    assert (await service.reaches(found.incident_id, OVER)).transition == 2


async def test_what_a_person_resolved_stays_closed_through_undos(shared: Running) -> None:
    env = shared.env()
    found = await shared.opened(env, "a", "b")
    id = found.incident_id
    await shared.stub.Resolve(pb.ResolveRequest(incident_id=id))
    await shared.stub.Reopen(pb.ReopenRequest(incident_id=id))
    last = (await shared.events(id))[-1].event_id
    await shared.stub.UndoChange(pb.UndoChangeRequest(incident_id=id, event_id=last))
    now = shared.clock.now_ms() + 1000
    pairs = {"severity": "critical", "env": env, "service": f"{env}-shop", "alertname": "a"}
    await shared.write(alert(start_ms=now, **pairs))
    new = await shared.one(env, states=[OPEN])
    assert new.incident_id != id
    assert (await shared.get(id)).incident.state == OVER


async def test_undone_merges_keep_closed_what_was_resolved_since(shared: Running) -> None:
    env = shared.env()
    into = await shared.opened(env, "a")
    other = await shared.opened(shared.env(), "b")
    merge = pb.MergeIncidentsRequest(incident_id=into.incident_id, incident_ids=[other.incident_id])
    await shared.stub.MergeIncidents(merge)
    await shared.stub.Resolve(pb.ResolveRequest(incident_id=into.incident_id))
    query = "SELECT event_id FROM incidents.event WHERE incident_id = $1 AND kind = $2"
    merged = (other.incident_id, incident_pb2.EVENT_KIND_MERGED)
    event_id = await shared.incidents.pool.fetchval(query, *merged)
    undo = pb.UndoChangeRequest(incident_id=other.incident_id, event_id=event_id)
    await shared.stub.UndoChange(undo)
    now = shared.clock.now_ms() + 1000
    pairs = {"severity": "critical", "env": env, "service": f"{env}-shop", "alertname": "a"}
    await shared.write(alert(start_ms=now, **pairs))
    assert (await shared.one(env, states=[OPEN])).incident_id != into.incident_id


async def test_an_incident_of_very_many_members_is_read_merged_and_split(shared: Running) -> None:
    found = await shared.opened(shared.env(), "a")
    into = await shared.opened(shared.env(), "b")
    pool = shared.incidents.pool
    joined = found.event_no
    await pool.execute(_MANY, found.incident_id, joined, MANY)
    answer = await shared.get(found.incident_id)
    assert len(answer.members) <= 200
    labels = await pool.fetchval(
        "SELECT count(*) FROM incidents.member WHERE incident_id = $1", found.incident_id
    )
    assert labels == MANY + 1
    request = pb.WatchIncidentsRequest(after_cursor=0, incident_id=found.incident_id)
    request.include_member_labels = True
    async for frame in shared.stub.WatchIncidents(request):
        if frame.HasField("change"):
            assert 1 < len(frame.change.member_labels) <= 200
            break
    merge = pb.MergeIncidentsRequest(incident_id=into.incident_id, incident_ids=[found.incident_id])
    await shared.stub.MergeIncidents(merge)
    query = "SELECT event_id FROM incidents.event WHERE incident_id = $1 AND kind = $2"
    event_id = await pool.fetchval(query, found.incident_id, incident_pb2.EVENT_KIND_MERGED)
    undo = pb.UndoChangeRequest(incident_id=found.incident_id, event_id=event_id)
    await shared.stub.UndoChange(undo)
    query = "SELECT count(*) FROM incidents.member WHERE incident_id = $1"
    assert await pool.fetchval(query, found.incident_id) == MANY + 1
    await pool.execute("DELETE FROM incidents.member WHERE fingerprint LIKE 'many-%'")


async def test_labels_of_an_enemy_are_text(shared: Running) -> None:
    env = shared.env()
    hostile = "<script>\x1b[31m\r\n\u202e{{7*7}}[link](javascript:1)" + "x" * 2000
    found = await shared.opened(env, hostile, service=hostile)
    assert len(found.title) <= 300
    assert (await shared.get(found.incident_id)).incident.services[0].startswith("<script>")
