"""Old incidents go with all that belongs to them; what is open, and what is part of it, stays."""

from sensus.incidents.v1 import incidents_service_pb2 as pb
from services.incidents.lifecycle.times import Times
from services.incidents.store.incidents import rebuild
from tests.incidents.harness import Running

DAY_S = 86_400


async def test_whole_incidents_go_and_the_rest_is_still_a_fold(service: Running) -> None:
    pool = service.incidents.pool
    old, part, kept = [await service.opened(service.env(), name) for name in ("a", "b", "c")]
    request = pb.MergeIncidentsRequest(incident_id=old.incident_id, incident_ids=[part.incident_id])
    await service.stub.MergeIncidents(request)
    await service.stub.Resolve(pb.ResolveRequest(incident_id=old.incident_id))
    await service.incidents.retention.tidy()
    assert await pool.fetchval("SELECT count(*) FROM incidents.incident") == 3
    await service.later(401 * DAY_S)
    for _ in range(2):
        await service.incidents.retention.tidy()
    for table in ("incident", "event", "member"):
        query = f"SELECT DISTINCT incident_id FROM incidents.{table}"
        assert [row[0] for row in await pool.fetch(query)] == [kept.incident_id]
    assert await rebuild(pool, Times()) == (1, 0)
