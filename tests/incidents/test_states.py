"""Each row of the table of transitions: what moves an incident, and what people are told."""

import pytest

from sensus.incidents.v1 import incident_pb2
from sensus.incidents.v1 import incidents_service_pb2 as pb
from tests.incidents.harness import RESOLVED, Running, until
from tests.ingest.harness import alert

STATE = incident_pb2.IncidentState
OPEN, ACKNOWLEDGED = STATE.INCIDENT_STATE_OPEN, STATE.INCIDENT_STATE_ACKNOWLEDGED
SETTLING, OVER = STATE.INCIDENT_STATE_SETTLING, STATE.INCIDENT_STATE_RESOLVED


def fires(service: Running, env: str, name: str, **labels: str) -> alert:  # type: ignore[valid-type]
    now = service.clock.now_ms()
    return alert(start_ms=now, env=env, service=f"{env}-shop", alertname=name, **labels)


async def ends(service: Running, incident_id: str) -> None:
    """All members that fire end now."""
    members = (await service.get(incident_id)).members
    changes = []
    for each in members:
        if not each.HasField("end_time"):
            labels = {label.name: label.value for label in each.labels}
            start, now = each.start_time.ToMilliseconds(), service.clock.now_ms()
            changes.append(alert(RESOLVED, start_ms=start, end_ms=max(now, start), **labels))
    await service.write(*changes)


async def told(service: Running, incident_id: str) -> list[str]:
    """Kinds of the events that give a notice, whose transitions must have no holes."""
    events = [each for each in await service.events(incident_id) if each.transition]
    assert [each.transition for each in events] == [*range(1, len(events) + 1)]
    return [incident_pb2.EventKind.Name(each.kind).removeprefix("EVENT_KIND_") for each in events]


@pytest.mark.parametrize("service", [{"gather_s": 300.0}], indirect=True)
async def test_a_first_alert_opens_after_it_has_gathered(service: Running) -> None:
    env = service.env()
    await service.write(fires(service, env, "a", severity="warning"))
    await service.write(fires(service, env, "b", severity="warning"))
    await service.placed(env, 2)
    assert await service.listed(env) == []
    await service.later(301)
    found = await service.one(env, 2)
    assert (found.state, found.severity) == (OPEN, 2)
    assert await told(service, found.incident_id) == ["OPENED"]


async def test_a_critical_alert_opens_at_once(service: Running) -> None:
    found = await service.opened(service.env(), "a")
    assert await told(service, found.incident_id) == ["OPENED"]


async def test_who_acknowledges_owns_it(service: Running) -> None:
    found = await service.opened(service.env(), "a")
    request = pb.AcknowledgeRequest(incident_id=found.incident_id)
    after = (await service.stub.Acknowledge(request)).incident
    assert (after.state, after.owner) == (ACKNOWLEDGED, "user:anna")
    assert await told(service, found.incident_id) == ["OPENED", "ACKNOWLEDGED"]


async def test_a_severity_that_rises_is_told_and_the_owner_stays(service: Running) -> None:
    env = service.env()
    await service.write(fires(service, env, "a", severity="warning"))
    await service.placed(env, 1)
    await service.later(11)
    found = await service.one(env)
    await service.stub.Acknowledge(pb.AcknowledgeRequest(incident_id=found.incident_id))
    await service.write(fires(service, env, "a", severity="critical"))

    async def worse() -> incident_pb2.Incident | None:
        incident = (await service.get(found.incident_id)).incident
        return incident if incident.severity == 3 else None

    after = await until(worse)
    assert (after.state, after.owner) == (ACKNOWLEDGED, "user:anna")
    assert await told(service, found.incident_id) == ["OPENED", "ACKNOWLEDGED", "WORSENED"]


async def test_what_no_longer_fires_settles_and_is_resolved(service: Running) -> None:
    found = await service.opened(service.env(), "a", "b")
    await ends(service, found.incident_id)
    await service.reaches(found.incident_id, SETTLING)
    assert await told(service, found.incident_id) == ["OPENED"]
    await service.later(301)
    after = await service.reaches(found.incident_id, OVER)
    assert after.firing_count == 0
    assert await told(service, found.incident_id) == ["OPENED", "RESOLVED"]


async def test_what_fires_while_it_settles_goes_back_without_a_word(service: Running) -> None:
    env = service.env()
    found = await service.opened(env, "a")
    await service.stub.Acknowledge(pb.AcknowledgeRequest(incident_id=found.incident_id))
    await ends(service, found.incident_id)
    await service.reaches(found.incident_id, SETTLING)
    await service.later(60)
    await service.write(fires(service, env, "a", severity="critical"))
    after = await service.reaches(found.incident_id, ACKNOWLEDGED)
    assert after.flap_count == 1
    assert await told(service, found.incident_id) == ["OPENED", "ACKNOWLEDGED"]


async def test_the_end_is_told_also_when_it_is_muted(service: Running) -> None:
    found = await service.opened(service.env(), "a")
    request = pb.MuteRequest(incident_id=found.incident_id, until_resolved=True)
    assert (await service.stub.Mute(request)).incident.mute.until_resolved
    await ends(service, found.incident_id)
    await service.reaches(found.incident_id, SETTLING)
    await service.later(301)
    after = await service.reaches(found.incident_id, OVER)
    assert not after.HasField("mute")
    assert await told(service, found.incident_id) == ["OPENED", "RESOLVED"]


async def test_a_mute_until_a_time_is_over_by_itself(service: Running) -> None:
    found = await service.opened(service.env(), "a")
    request = pb.MuteRequest(incident_id=found.incident_id, reason="a deploy")
    request.end_time.FromMilliseconds(service.clock.now_ms() + 600_000)
    assert (await service.stub.Mute(request)).incident.HasField("mute")
    await service.later(500)
    assert (await service.get(found.incident_id)).incident.HasField("mute")
    await service.later(101)

    async def heard() -> bool | None:
        return not (await service.get(found.incident_id)).incident.HasField("mute") or None

    await until(heard)
    assert await service.kinds(found.incident_id) == ["OPENED", "MUTED", "UNMUTED"]
    assert await told(service, found.incident_id) == ["OPENED"]


async def test_a_silence_of_later_begins_and_ends_at_its_times(service: Running) -> None:
    env = service.env()
    found = await service.opened(env, "a")
    now = service.clock.now_ms()
    window = pb.Silence(selector=f'{{env="{env}"}}', reason="maintenance")
    window.start_time.FromMilliseconds(now + 600_000)
    window.end_time.FromMilliseconds(now + 1_200_000)
    made = (await service.stub.CreateSilence(pb.CreateSilenceRequest(silence=window))).silence

    async def held(ids: list[str]) -> bool | None:
        incident = (await service.get(found.incident_id)).incident
        return list(incident.silence_ids) == ids or None

    await service.later(500)
    later = await service.opened(service.env(), "b")  # the silences were looked at meanwhile
    assert later.incident_id != found.incident_id
    assert await held([])
    await service.later(101)
    await until(lambda: held([made.silence_id]))
    await service.later(600)
    await until(lambda: held([]))
    kinds = await service.kinds(found.incident_id)
    assert kinds == ["OPENED", "SILENCED", "UNSILENCED"]


async def test_new_alerts_never_enter_what_a_person_resolved(service: Running) -> None:
    env = service.env()
    found = await service.opened(env, "a", "b")
    request = pb.ResolveRequest(incident_id=found.incident_id, reason="done", cause="a deploy")
    over = (await service.stub.Resolve(request)).incident
    assert (over.state, over.firing_count, over.resolve_cause) == (OVER, 2, "a deploy")
    await service.write(fires(service, env, "c", severity="critical"))
    second = await service.one(env, states=[OPEN])
    assert second.incident_id != found.incident_id
    await ends(service, found.incident_id)

    async def ended() -> bool | None:
        return (await service.get(found.incident_id)).incident.firing_count == 0 or None

    await until(ended)
    assert (await service.get(found.incident_id)).incident.state == OVER
    assert await told(service, found.incident_id) == ["OPENED", "RESOLVED"]


async def test_what_fires_again_soon_opens_the_same_and_flaps_from_the_third(
    service: Running,
) -> None:
    env = service.env()
    found = await service.opened(env, "a")
    for round_ in range(4):
        await ends(service, found.incident_id)
        await service.reaches(found.incident_id, SETTLING)
        await service.later(301)
        await service.reaches(found.incident_id, OVER)
        await service.later(60)
        await service.write(fires(service, env, "a", severity="critical"))
        after = await service.reaches(found.incident_id, OPEN)
        assert (after.reopen_count, after.flapping) == (round_ + 1, round_ >= 2)
    kinds = await told(service, found.incident_id)
    # the third comes six minutes after the second: one word in half an hour
    assert kinds.count("REOPENED") == 2
    assert kinds.count("RESOLVED") == 4
    await ends(service, found.incident_id)
    await service.reaches(found.incident_id, SETTLING)
    await service.later(301)
    await service.reaches(found.incident_id, OVER)
    await service.later(1500)
    await service.write(fires(service, env, "a", severity="critical"))
    await service.reaches(found.incident_id, OPEN)
    assert (await told(service, found.incident_id)).count("REOPENED") == 3


async def test_what_fires_again_late_is_new(service: Running) -> None:
    env = service.env()
    found = await service.opened(env, "a")
    await ends(service, found.incident_id)
    await service.reaches(found.incident_id, SETTLING)
    await service.later(301)
    await service.reaches(found.incident_id, OVER)
    await service.later(1801)
    await service.write(fires(service, env, "a", severity="critical"))
    assert (await service.one(env, states=[OPEN])).incident_id != found.incident_id


async def test_an_owner_who_is_silent_for_an_hour_is_not_on_it(service: Running) -> None:
    found = await service.opened(service.env(), "a")
    await service.stub.Acknowledge(pb.AcknowledgeRequest(incident_id=found.incident_id))
    await service.later(3000)
    note = pb.AddNoteRequest(incident_id=found.incident_id, text="still looking")
    await service.stub.AddNote(note)
    await service.later(3000)
    assert (await service.get(found.incident_id)).incident.state == ACKNOWLEDGED
    await service.later(700)
    await service.reaches(found.incident_id, OPEN)
    assert await told(service, found.incident_id) == ["OPENED", "ACKNOWLEDGED", "UNATTENDED"]


async def test_a_merged_incident_is_told_and_answers_with_the_other(service: Running) -> None:
    one, two = [await service.opened(service.env(), "a") for _ in range(2)]
    request = pb.MergeIncidentsRequest(incident_id=one.incident_id, incident_ids=[two.incident_id])
    after = (await service.stub.MergeIncidents(request)).incident
    assert after.member_count == 2
    assert (await service.get(two.incident_id)).incident.incident_id == one.incident_id
    watch = service.stub.WatchIncidents(
        pb.WatchIncidentsRequest(after_cursor=0, incident_id=two.incident_id)
    )
    kinds = []
    async for frame in watch:
        if frame.WhichOneof("frame") == "heartbeat":
            break
        kinds.append((frame.change.event.kind, frame.change.event.transition))
    watch.cancel()
    assert kinds[-1] == (incident_pb2.EVENT_KIND_MERGED, 2)


@pytest.mark.parametrize("moves", [("Acknowledge",), ("Resolve", "Reopen"), ("Mute", "Unmute")])
async def test_what_people_do_is_undone_once_and_within_a_day(
    service: Running, moves: tuple[str, ...]
) -> None:
    found = await service.opened(service.env(), "a")
    id = found.incident_id
    for move in moves:
        before = (await service.get(id)).incident
        fields = {"until_resolved": True} if move == "Mute" else {}
        await getattr(service.stub, move)(getattr(pb, f"{move}Request")(incident_id=id, **fields))
        done = (await service.events(id))[-1]
        assert done.can_undo
        undo = pb.UndoChangeRequest(incident_id=id, event_id=done.event_id)
        after = (await service.stub.UndoChange(undo)).incident
        assert (after.state, after.owner) == (before.state, before.owner)
        assert after.HasField("mute") is before.HasField("mute")
        await getattr(service.stub, move)(getattr(pb, f"{move}Request")(incident_id=id, **fields))
