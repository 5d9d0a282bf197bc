"""What explanations do to incidents: the cause is shown, nobody is told, merges are proposed."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli.embedded.postgres import EmbeddedPostgres
from cli.embedded.redis import EmbeddedRedis
from sensus.incidents.v1 import incident_pb2
from sensus.incidents.v1 import incidents_service_pb2 as pb
from tests.databases import database
from tests.incidents.harness import OPEN, Running, running, until
from tests.incidents.peers import Explainer, served_explainer
from tests.ingest.harness import alert

ACKNOWLEDGED = incident_pb2.INCIDENT_STATE_ACKNOWLEDGED
MERGED = incident_pb2.INCIDENT_STATE_MERGED


@dataclass(kw_only=True)
class Explained:
    """A service and its explainer."""

    service: Running
    explainer: Explainer

    async def explain(self, incident_id: str, suspect: str, confidence: float) -> None:
        """The first member of an incident is explained."""
        member = (await self.service.get(incident_id)).members[0].member_id
        self.explainer.explain(member, suspect, confidence)

    async def suspects(self, incident_id: str, suspect: str) -> incident_pb2.Incident:
        """The incident once it shows this suspect."""

        async def look() -> incident_pb2.Incident | None:
            found = (await self.service.get(incident_id)).incident
            return found if [e.entity for e in found.cause.suspects] == [suspect] else None

        return await until(look)


@pytest.fixture
async def explained(
    postgres: EmbeddedPostgres, migrated_template: str, redis_server: EmbeddedRedis, keys: Path
) -> AsyncIterator[Explained]:
    redis_url, explainer = redis_server.url.replace("db=0", "db=3"), Explainer()
    async with (
        database(postgres.dsn, template=migrated_template) as dsn,
        served_explainer(explainer) as target,
        running(dsn, redis_url, keys, explainer_target=target) as service,
    ):
        yield Explained(service=service, explainer=explainer)


async def test_another_first_suspect_is_shown_and_nobody_is_told(explained: Explained) -> None:
    service = explained.service
    found = await service.opened(service.env(), "a")
    await service.stub.Acknowledge(pb.AcknowledgeRequest(incident_id=found.incident_id))
    for suspect in ("db-1", "node-7"):
        await explained.explain(found.incident_id, suspect, 0.9)
        after = await explained.suspects(found.incident_id, suspect)
        assert (after.state, after.transition) == (ACKNOWLEDGED, 2)
        assert after.cause.root_cause == f"{suspect} is the cause"
    assert (await service.kinds(found.incident_id)).count("EXPLAINED") == 2


async def test_a_less_sure_explanation_of_another_member_is_not_shown(
    explained: Explained,
) -> None:
    service = explained.service
    found = await service.opened(service.env(), "a", "b")
    one, two = [each.member_id for each in (await service.get(found.incident_id)).members]
    explained.explainer.explain(one, "db-1", 0.8)
    await explained.suspects(found.incident_id, "db-1")
    explained.explainer.explain(two, "node-7", 0.7)
    explained.explainer.explain(two, "disk-9", 0.9)
    await explained.suspects(found.incident_id, "disk-9")
    assert (await service.kinds(found.incident_id)).count("EXPLAINED") == 2


async def test_of_two_with_the_same_first_suspect_a_merge_is_proposed(
    explained: Explained,
) -> None:
    service = explained.service
    one, two = [await service.opened(service.env(), "a") for _ in range(2)]
    await explained.explain(one.incident_id, "db-1", 0.9)
    await explained.suspects(one.incident_id, "db-1")
    await explained.explain(two.incident_id, "db-1", 0.9)

    async def proposed() -> list[incident_pb2.Incident] | None:
        found = [(await service.get(each.incident_id)).incident for each in (one, two)]
        return found if all(each.merge_proposals for each in found) else None

    first, second = await until(proposed)
    assert list(first.merge_proposals) == [two.incident_id]
    assert list(second.merge_proposals) == [one.incident_id]
    assert (first.state, first.transition, second.transition) == (OPEN, 1, 1)


async def test_what_nobody_was_told_of_is_merged_into_its_like(explained: Explained) -> None:
    service, env = explained.service, explained.service.env()
    told = await service.opened(service.env(), "a")
    await explained.explain(told.incident_id, "db-1", 0.9)
    await explained.suspects(told.incident_id, "db-1")
    now = service.clock.now_ms()
    labels = {"severity": "warning", "env": env, "service": f"{env}-shop", "alertname": "young"}
    (young,) = await service.write(alert(start_ms=now, **labels))

    async def gathers() -> bool | None:
        query = "SELECT 1 FROM incidents.member WHERE member_id = $1"
        return await service.incidents.pool.fetchval(query, young) == 1 or None

    await until(gathers)
    explained.explainer.explain(young, "db-1", 0.9)

    async def absorbed() -> bool | None:
        return (await service.get(told.incident_id)).incident.member_count == 2 or None

    await until(absorbed)
    assert (await service.get(told.incident_id)).incident.transition == 1
    merged = (await service.stub.ListIncidents(pb.ListIncidentsRequest(states=[MERGED]))).incidents
    assert [each.transition for each in merged] == [0]


async def test_an_explanation_that_is_not_sure_proposes_nothing(explained: Explained) -> None:
    service = explained.service
    one, two = [await service.opened(service.env(), "a") for _ in range(2)]
    for each in (one, two):
        await explained.explain(each.incident_id, "db-1", 0.59)
        await explained.suspects(each.incident_id, "db-1")
    for each in (one, two):
        assert not (await service.get(each.incident_id)).incident.merge_proposals
