"""Which incidents a list holds."""

from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from sensus.incidents.v1 import incidents_service_pb2 as pb
from tests.incidents.harness import OPEN, Running


def at(time_ms: int) -> Timestamp:
    time = Timestamp()
    time.FromMilliseconds(time_ms)
    return time


async def test_incidents_with_idle_owners_are_listed_oldest_act_first(service: Running) -> None:
    env = service.env()
    first, second, third, free, over = [
        (await service.opened(f"{env}-{name}", "a", team=env)).incident_id
        for name in ("first", "second", "third", "free", "over")
    ]
    for each in (second, first, third, over):
        await service.stub.Acknowledge(pb.AcknowledgeRequest(incident_id=each))
        await service.later(600)
    await service.stub.AddNote(pb.AddNoteRequest(incident_id=second, text="still on it"))
    await service.stub.Resolve(pb.ResolveRequest(incident_id=over))
    await service.later(900)
    now = service.clock.now_ms()

    async def idle(least_s: int, **asked: Any) -> list[str]:
        since = at(now - 1000 * least_s)
        request = pb.ListIncidentsRequest(
            selector=f'{{team="{env}"}}', owner_idle_since=since, page_size=1, **asked
        )
        found = []
        while True:
            answer = await service.stub.ListIncidents(request)
            found += [each.incident_id for each in answer.incidents]
            if not (token := answer.next_page_token):
                return found
            request.page_token = token

    assert await idle(600) == [first, third, second]
    assert await idle(1500) == [first, third]
    assert await idle(2400) == [first]
    assert await idle(5000) == []
    assert await idle(600, owner="user:bob") == []
    assert free not in await idle(0)
    # whom an hour of silence has opened again is forgotten all the more
    await service.later(1800)
    await service.reaches(first, OPEN)
    assert (await idle(600))[0] == first
    shown = (await service.get(first)).incident
    acted = shown.owner_active_time.ToMilliseconds()
    assert shown.acknowledge_time.ToMilliseconds() == acted
    assert not (await service.get(free)).incident.HasField("owner_active_time")


async def test_a_list_is_of_incidents_that_were_open_in_a_span(service: Running) -> None:
    env = service.env()
    found = await service.opened(env, "a")
    start_ms = found.start_time.ToMilliseconds()
    for asked, count in (
        ({"start_time": at(start_ms - 60_000)}, 1),
        ({"start_time": at(start_ms + 60_000)}, 1),  # it still is
        ({"end_time": at(start_ms + 60_000)}, 1),
        ({"end_time": at(start_ms)}, 0),
        ({"start_time": at(start_ms - 2), "end_time": at(start_ms - 1)}, 0),
    ):
        assert len(await service.listed(env, **asked)) == count, asked
